"""Processes that may end while they are looked at."""

from __future__ import annotations

import psutil


def command_of(process: psutil.Process) -> list[str]:
    """Return the command line of a process, empty if it has ended or is another account's."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def environ_of(process: psutil.Process) -> dict[str, str]:
    """Return the environment of a process, empty if it has ended or is another account's."""
    try:
        return process.environ()
    except psutil.Error:
        return {}
