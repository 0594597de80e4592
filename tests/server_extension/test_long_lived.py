"""What the service does about its own memory before it serves anybody."""

import gc
import os
import subprocess
import sys
import weakref

import pytest

from goodman_live.server_extension.long_lived import set_aside

HEAPS = """
import ctypes, threading
if {shared}:
    from goodman_live.server_extension.long_lived import share_heaps
    share_heaps()
libc = ctypes.CDLL(None)
libc.malloc.restype, together = ctypes.c_void_p, threading.Barrier(12)
def work():
    together.wait()
    libc.malloc(100)
    together.wait()
threads = [threading.Thread(target=work) for _ in range(12)]
[one.start() for one in threads], [one.join() for one in threads]
libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, "stdout"))
libc.fflush(None)
"""


class Ring:
    """Refers to itself, so that only a collection finds it."""

    def __init__(self):
        self.me = self


def test_what_is_made_later_is_still_collected():
    try:
        set_aside()
        assert gc.get_freeze_count() > 1000
        seen = weakref.ref(Ring())
        gc.collect()
        assert seen() is None
    finally:
        gc.unfreeze()


@pytest.mark.skipif(sys.platform != "linux", reason="the C library is another")
def test_threads_of_the_service_share_heaps():
    # A cluster that ran in this process left what its workers' heaps are told.
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}

    def heaps(shared):
        done = subprocess.run(
            [sys.executable, "-c", HEAPS.format(shared=shared)],
            capture_output=True, text=True, check=True, env=plain,
        )  # fmt: skip
        return done.stdout.count("<heap nr=")

    assert heaps(shared=False) > 2
    assert heaps(shared=True) <= 2
