"""Find, trace and extract with the peer's own functions, in the peer's own environment.

Run by ``bench_extract.py`` as ``python peer_extract.py FRAME.fits ...``; prints one JSON line for
each frame: processor seconds, the number of targets, and row and flux of each.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import warnings

import numpy as np
from ccdproc import CCDData
from goodman_pipeline.core import extraction, identify_targets, trace_targets

WIDTHS, SPACING = 2, 3
"""The command's defaults: width of the aperture in FWHM, and distance of the zones."""


def main(paths: list[str]) -> None:
    """Extract each frame as ``redspec`` does."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    for path in paths:
        ccd = CCDData.read(path, unit="adu")
        began = time.process_time()
        found = identify_targets(
            ccd=ccd, fit_model="moffat", background_threshold=3, nfind=3, plots=False
        )
        spectra = []
        for trace, profile, _ in trace_targets(ccd=ccd, target_list=found) if found else []:
            spectrum = extraction(
                ccd=ccd, target_trace=trace, spatial_profile=profile,
                extraction_name="fractional", extraction_width=WIDTHS,
                background_spacing_factor=SPACING,
            )  # fmt: skip
            row = float(trace(ccd.data.shape[1] / 2))
            spectra.append({"row": row, "flux": np.asarray(spectrum.data).tolist()})
        seconds = time.process_time() - began
        print(json.dumps({"seconds": seconds, "targets": spectra}))


if __name__ == "__main__":
    main(sys.argv[1:])
