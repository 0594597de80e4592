"""Intake: from a file under a raw root to a row of the catalogue. Raw bytes are only read."""
