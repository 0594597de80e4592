"""Files in and out: the only modules that open FITS."""
