"""The scales of bqplot warn while they are imported: here once, for whichever test comes first."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import bqplot  # noqa: F401 (for what its import does)
