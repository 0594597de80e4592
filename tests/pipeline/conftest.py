"""Fixtures of the pipeline tests.

==============  ========  =====================================================================
fixture         scope     gives
==============  ========  =====================================================================
``raw_header``  function  function that makes a raw header: Red 2x2 of 2023; cards by keyword
``raw_file``    function  function that writes a raw frame with such a header
==============  ========  =====================================================================
"""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

AEON = {
    "DATE-OBS": "2023-07-05T03:10:20.123",
    "OPENTIME": "03:10:20.2200000",
    "OPENDATE": "2023-07-05",
    "CLOSETIM": "03:25:20.2100000",
    "EXPTIME": 900.0,
    "OBJECT": "SN2023abc",
    "OBSTYPE": "SPECTRUM",
    "OBSRA": "14:03:38.560",
    "OBSDEC": "-27:18:42.100",
    "AIRMASS": 1.21,
    "INSTRUME": "ghts_red",
    "INSTCONF": "Red",
    "CAM_ANG": 11.6003,
    "GRT_ANG": 5.8001,
    "CAM_TARG": 11.6,
    "GRT_TARG": 5.8,
    "FILTER": "NO_FILTER",
    "FILTER2": "NO_FILTER",
    "GRATING": "400_SYZY",
    "SLIT": "1.0_LONG_SLIT",
    "WAVMODE": "400_M1",
    "GAIN": 1.48,
    "RDNOISE": 3.89,
    "ROI": "Spectroscopic 2x2",
    "CCDSUM": "2 2",
    "TRIMSEC": "[26:2055,2:948]",
    "PG5_4": 2,
    "PG5_5": 948,
    "PG5_6": 1100,
    "PG5_9": 2,
    "PG5_10": 2071,
    "PG5_11": 0,
    "PROPOSAL": "",
    "PROPID": "SOAR2023A-009",
    "OBSID": "8092867",
    "CONFID": "527447025",
    "BLKUID": "401790163",
    "IMAGEID": "119300",
    "RLEVEL": 0,
    "L1PUBDAT": "2024-01-03T02:27:55.337838Z",
    "LAMP_HGA": "FALSE",
    "LAMP_NE": "FALSE",
    "LAMP_AR": "FALSE",
    "LAMP_FE": "FALSE",
    "LAMP_CU": "FALSE   ",
    "LAMP_QUA": "FALSE",
    "LAMP_BUL": "FALSE",
    "LAMP_DOM": "FALSE",
}


@pytest.fixture
def raw_header():
    def make(**changes):
        header = fits.Header()
        named = {key.replace("DATE_OBS", "DATE-OBS"): value for key, value in changes.items()}
        for keyword, value in {**AEON, **named}.items():
            if value is not ...:  # an ellipsis leaves the card out
                header[keyword] = value
        return header

    return make


@pytest.fixture
def raw_file(tmp_path, raw_header):
    def write(name="0317_SN2023abc_05-07-2023.fits", data=None, **changes):
        if data is None:
            data = np.full((948, 2071), 600, np.uint16)
        path = tmp_path / name
        fits.PrimaryHDU(data, raw_header(**changes)).writeto(path)
        return path

    return write
