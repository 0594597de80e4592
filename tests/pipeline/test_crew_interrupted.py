"""Ctrl-C stops a run, also where Python forgets what it raised."""

from __future__ import annotations

import signal
import sys

import pytest

from goodman_live.pipeline.crew import Call, Crew, Job


class Finalized:
    """What a Ctrl-C raises that comes while it is let go is told and forgotten by Python."""

    def __del__(self):
        signal.raise_signal(signal.SIGINT)


def checksum_job(name, path, before=lambda: None):
    def prepare():
        before()
        return Call("sha256_of", path, {}, module="goodman_live.pipeline.products.atomic")

    return Job(name, prepare)


def test_an_interruption_that_python_loses_stops_the_run_all_the_same(tmp_path, monkeypatch):
    path, done, lost = tmp_path / "file", [], []
    path.write_bytes(b"1")
    monkeypatch.setattr(sys, "unraisablehook", lost.append)

    def finished(name, outcome):
        done.append((name, len(outcome)))
        return [checksum_job("second", path)]

    handler = signal.getsignal(signal.SIGINT)
    with Crew(1) as crew, pytest.raises(KeyboardInterrupt):
        crew.run([checksum_job("first", path, before=Finalized)], finished)
    assert [one.exc_type for one in lost] == [KeyboardInterrupt]
    assert done == [("first", 64)]
    assert signal.getsignal(signal.SIGINT) is handler
