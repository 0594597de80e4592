"""The live engine: triggers, jobs on Dask, events and the latency ledger."""
