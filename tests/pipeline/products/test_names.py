"""Names begin as the public service writes them, and different things never share one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from goodman_live.pipeline.core.frame import Window
from goodman_live.pipeline.core.header import describe
from goodman_live.pipeline.core.info import Technique
from goodman_live.pipeline.products import names


@pytest.fixture
def info(raw_header):
    header = raw_header(WAVMODE="400_M2", FILTER2="GG455", CAM_TARG=16.1, GRT_TARG=7.5)
    return describe(header, file_name="x.fits", shape=(948, 2071))


@pytest.mark.parametrize(
    ("steps", "name"),
    [
        ("tszfc", "cfzst_0317_x.fits"),
        ("tszc", "czst_0317_x.fits"),
        ("otsfc", "cfsto_0317_x.fits"),
        ("tzfc", "cfzt_0317_x.fits"),
        ("", "0317_x.fits"),
    ],
)
def test_prefixes(steps, name):
    assert names.reduced_name("0317_x.fits", steps) == name
    assert names.reduced_name("0317_x.fits.fz", reversed(steps)) == name


def test_unknown_step_is_refused():
    with pytest.raises(ValueError, match="are not steps"):
        names.reduced_name("x.fits", "tq")


def test_spectra():
    extracted = names.extracted_name("cfzst_0317_x.fits")
    assert extracted == "ecfzst_0317_x.fits"
    assert names.extracted_name("cfzst_0317_x.fits", target=2) == "ecfzst_0317_x_target_2.fits"
    assert names.calibrated_name(extracted) == "wecfzst_0317_x.fits"
    assert names.calibrated_name(extracted, lamp=1, suffix="v2") == "wecfzst_0317_x_ws_1_v2.fits"
    assert names.cosmic_mask_name("cfzst_0317_x.fits") == "crmask_cfzst_0317_x.fits"


def test_masters_begin_as_in_the_public_service(info):
    assert names.master_bias_name(info).startswith("master_bias_RED_SP_2x2_R03.89_G01.48")
    assert names.master_flat_name(info).startswith("master_flat_400_M2_GG455_S1.0_2x2_20230704")
    image = replace(info, technique=Technique.IMAGING, filter="g-SDSS", filter2="NO_FILTER")
    assert names.master_flat_name(image).startswith("master_flat_g-SDSS")
    assert names.master_bias_name(image).startswith("master_bias_RED_IM_2x2")


DIFFERENT = [
    {"camera": "Blue"},
    {"gain": 3.87},
    {"rdnoise": 7.05},
    {"window": Window(0, 1100, 4142, 1896)},
    {"window": Window(0, 1800, 2071, 948, 2, 2)},
    {"window": Window(2, 1100, 2071, 948, 2, 2)},
    {"night": "20230705"},
]
DIFFERENT_FLAT = [
    *DIFFERENT,
    {"filter2": "GG385"},
    {"filter2": "NO_FILTER", "filter": "GG455"},
    {"filter": "GG455"},
    {"slit": "1.2_LONG_SLIT", "slit_arcsec": 1.2},
    {"slit": "SLICER_B.4", "slit_arcsec": None},
    {"grating": "400_OTHER"},
    {"wavmode": "400_M1"},
    {"cam_targ": 16.2},
    {"technique": Technique.IMAGING},
]


def test_no_two_biases_share_a_name(info):
    made = [names.master_bias_name(replace(info, **change)) for change in [{}, *DIFFERENT]]
    assert len(set(made)) == len(made)


def test_no_two_flats_share_a_name(info):
    made = [names.master_flat_name(replace(info, **change)) for change in [{}, *DIFFERENT_FLAT]]
    made.append(names.master_flat_name(info, settings="order 3"))
    made.append(names.master_flat_name(info, suffix="v2"))
    assert len(set(made)) == len(made)


def test_one_set_up_has_one_name(info):
    other = replace(info, file_name="y.fits", object_name="z", cam_ang=16.2, filter2="gg455")
    assert names.master_bias_name(other) == names.master_bias_name(info)


def test_hostile_values_cannot_leave_the_folder(info):
    hostile = replace(info, wavmode="../../ETC/PASSWD\x00", filter2="a/b;rm -rf", slit="<>")
    name = names.master_flat_name(replace(hostile, slit_arcsec=None))
    assert "/" not in name
    assert "\x00" not in name
    assert len(name) < 255
