"""The catalogue: frames, products, jobs, events and who may see them."""
