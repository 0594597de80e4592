"""What the components share: their JavaScript is put together here and sent with the widget."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import anywidget

if TYPE_CHECKING:
    from collections.abc import Callable


@cache
def script(*names: str) -> str:
    """Return the module of a component: the shared helpers, then the files named."""
    folder = files("goodman_live.widgets.components") / "static"
    return "".join((folder / f"{name}.js").read_text() for name in ("dom", *names))


class Component(anywidget.AnyWidget):
    """A piece of a page that draws itself in the browser and tells what the reader does."""

    def __init__(self, **traits: Any) -> None:
        self._handlers: dict[str, Callable[[Any], object]] = {}
        super().__init__(**traits)
        self.on_msg(self._dispatch)

    def when(self, what: str, handler: Callable[[Any], object]) -> None:
        """Call `handler` with the value of each message `what` from the browser."""
        self._handlers[what] = handler

    def _dispatch(self, _: Any, content: Any, __: Any) -> None:
        # Messages come from the reader's own browser; what is not ours is dropped.
        if isinstance(content, dict) and (handler := self._handlers.get(content.get("what", ""))):
            handler(content.get("value"))
