"""Pictures without a plot library: axes, and the checks of a fit as PNG."""
