"""Pieces of pages: each shows values that it is given and tells what the reader does."""
