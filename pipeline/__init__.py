"""The reduction pipeline: raw frames in, calibrated spectra out, without any server."""
