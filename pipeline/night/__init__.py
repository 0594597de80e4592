"""A folder of raw frames through all blocks, without a server."""
