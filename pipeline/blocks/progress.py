"""How far a block is: said by the block, heard by whoever runs it, if anybody listens."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_listener: ContextVar[Callable[[float, str], None] | None] = ContextVar("listener", default=None)


def step(share: float, text: str) -> None:
    """Say what comes next.

    Parameters
    ----------
    share : float
        Part of the block's time that is over, from 0 to 1, as far as it can be known.
    text : str
        A sentence.
    """
    listener = _listener.get()
    if listener is not None:
        listener(share, text)


@contextmanager
def heard_by(listener: Callable[[float, str], None]) -> Iterator[None]:
    """Have `listener` called with what blocks say meanwhile."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
