"""What masks a pixel of a spectrum."""

import numpy as np
from astropy.io.fits import Header

from goodman_live.pipeline.core.frame import Flag
from goodman_live.pipeline.core.spectrum import Spectrum


def test_extrapolated_wavelengths_do_not_mask_good_flux():
    flags = np.array([0, Flag.EXTRAPOLATED, Flag.COSMIC, Flag.COSMIC | Flag.EXTRAPOLATED], "u1")
    ones = np.ones(4)
    spectrum = Spectrum(ones, ones, flags, ones, ones, ones, Header())
    assert spectrum.mask.tolist() == [False, False, True, True]
