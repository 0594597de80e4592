"""One module per reduction block: reduce, extract, calibrate wavelength, and the masters."""
