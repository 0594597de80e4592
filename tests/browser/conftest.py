"""Fixtures of the tests that drive a browser.

============  ========  =====================================================================
fixture       scope     gives
============  ========  =====================================================================
``settled``   module    nothing; waits until the whole night has come and is reduced
============  ========  =====================================================================
"""

import time

import pytest

from tests.browser.reader import PATIENCE_MS


@pytest.fixture(scope="module")
def settled(live, sign_in):
    """Wait until the whole night has come and nothing is being made of it: counts hold still."""
    client = sign_in("observer")
    every = len([*(live.root / "night" / "RAW").glob("*.fits")])
    quiet, deadline = 0, time.monotonic() + PATIENCE_MS / 1000
    while quiet < 3:
        assert time.monotonic() < deadline, "the night does not come to rest"
        come = len([*(live.root / "raw").glob("*.fits")])
        queue = client.get(f"{live.api}/").json()["queue"]
        quiet = quiet + 1 if come >= every and not queue else 0
        time.sleep(1)
