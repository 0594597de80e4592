"""``for spectrum in live.follow(PROPOSAL)``, as the guide to the API promises."""

import numpy as np

from goodman_live.widgets.client import Address, Client
from tests.docs.test_example_notebooks import told

__all__ = ["told"]  # a fixture

PROPOSAL = "SOAR2026B-001"


def test_the_spectra_of_a_proposal_come_as_they_are_made(live, told):
    address = Address(told["GOODMAN_API_URL"] + "/", told["JUPYTERHUB_API_TOKEN"])
    with Client(address) as client:
        stream = client.follow(PROPOSAL, since=0)
        spectrum = next(stream)
        stream.close()
        assert spectrum.spectral_axis.unit == "Angstrom"
        assert np.isfinite(spectrum.flux.value).sum() > 500
        # Of this proposal, not of the neighbour who observed in the same night.
        assert spectrum.meta["header"]["OBJECT"] in {"SN2026abc", "GRB260815"}
