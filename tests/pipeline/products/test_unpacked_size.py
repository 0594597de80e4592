"""A small file that would unpack to gigabytes is refused before it does."""

import numpy as np
import pytest
from astropy.io import fits

from goodman_live.pipeline.core.errors import BadFrameError, BadHeaderError
from goodman_live.pipeline.products.fits import read_described, read_info, read_raw


@pytest.mark.parametrize("read", [read_info, read_described, read_raw])
@pytest.mark.parametrize("axes", [(30000, 30000), (33554433, 1), (5793, 5793)])
def test_what_is_larger_than_a_detector_is_not_unpacked(tmp_path, read, axes):
    packed = fits.CompImageHDU(np.zeros((100, 100), np.int16), name="IMAGE")
    path = tmp_path / "0001_bomb.fits.fz"
    fits.HDUList([fits.PrimaryHDU(), packed]).writeto(path)
    with fits.open(path, mode="update", disable_image_compression=True) as hdus:
        hdus[1].header["ZNAXIS1"], hdus[1].header["ZNAXIS2"] = axes
    assert path.stat().st_size < 2**20
    with pytest.raises(BadFrameError, match="more than a detector has") as told:
        read(path)
    assert told.value.field == "NAXIS"


def test_a_whole_detector_is_read(tmp_path):
    packed = fits.CompImageHDU(np.zeros((4112, 4142), np.int16), name="IMAGE")
    path = tmp_path / "0002_whole.fits.fz"
    fits.HDUList([fits.PrimaryHDU(), packed]).writeto(path)
    with pytest.raises(BadHeaderError):  # it has no cards; its pixels may come
        read_info(path)
