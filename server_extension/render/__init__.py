"""Pictures and plot data of frames and spectra: numpy and Pillow, no web and no database."""
