"""The pages: they put components together and feed them from the client."""
