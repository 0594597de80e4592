"""Pure arithmetic on frames and spectra: no files, no web, no database, no Dask."""
