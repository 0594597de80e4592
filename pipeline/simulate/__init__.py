"""Raw nights with known truth; imports nothing from the reduction code."""
