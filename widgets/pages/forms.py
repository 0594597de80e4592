"""A form bound to what is done when its buttons are pressed; what is refused is said beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from goodman_live.widgets.client.errors import ClientError
from goodman_live.widgets.components.blocks import Form

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from goodman_live.widgets.pages.shell import Shell

    Press = Callable[[str, dict[str, Any]], Awaitable[str]]
    Change = Callable[[str, dict[str, Any]], Awaitable[None]]


class BoundForm:
    """A form; `widget` is what is shown.

    Parameters
    ----------
    shell : Shell
        Of the page.
    press : callable
        Called with the key of a button and all values; returns what to say when it is done.
    change : callable, optional
        Called with the key of a field and all values while the reader types.
    **traits
        Of `Form`.
    """

    def __init__(
        self, shell: Shell, press: Press, change: Change | None = None, **traits: Any
    ) -> None:
        self._shell = shell
        self._press = press
        self._change = change
        self.widget = Form(**traits)
        self.values: dict[str, Any] = dict(self.widget.values)
        """What the fields hold, as far as the kernel was told."""
        self._fills: dict[str, int] = {}
        self.widget.when("press", self._pressed)
        self.widget.when("change", self._changed)

    def say(self, text: str, tone: str = "info") -> None:
        """Show a line above the buttons; an empty one hides it."""
        with self.widget.hold_sync():
            self.widget.message, self.widget.tone = text, tone

    def summon(self) -> None:
        """Bring the form into view and the keyboard to it."""
        self.widget.summoned = True

    def fill(self, **values: Any) -> None:
        """Set values; fields that are not named stay, whatever is being typed into them."""
        self.values.update(values)
        # Counted for each, so that the browser writes these anew even if we knew nothing else,
        # and leaves the others alone.
        self._fills |= {name: self._fills.get(name, 0) + 1 for name in values}
        self.widget.values = {**self.values, "_fills": dict(self._fills)}

    def _pressed(self, what: Any) -> None:
        if isinstance(what, dict) and isinstance(what.get("values"), dict):
            self.values.update(what["values"])
            # What it says of the values before would come after what is said of the press.
            self._shell.tasks.stop(f"look {id(self)}")
            self._shell.tasks.start(
                f"form {id(self)}", self._run(str(what.get("key")), dict(what["values"]))
            )

    def _changed(self, what: Any) -> None:
        if isinstance(what, dict) and isinstance(what.get("values"), dict):
            self.values.update(what["values"])
            if self._change is not None:
                work = self._look(self._change, str(what.get("key")), dict(what["values"]))
                self._shell.tasks.start(f"look {id(self)}", work)

    async def _look(self, change: Change, key: str, values: dict[str, Any]) -> None:
        try:
            await change(key, values)
        except ClientError as error:
            self._refused(error)

    async def _run(self, key: str, values: dict[str, Any]) -> None:
        with self.widget.hold_sync():
            self.widget.busy, self.widget.faults = True, {}
        try:
            self.say(await self._press(key, values), "good")
        except ClientError as error:
            self._refused(error)
        finally:
            self.widget.busy = False

    def _refused(self, error: ClientError) -> None:
        name = error.field.rsplit(".", 1)[-1]
        known = {field["key"] for group in self.widget.groups for field in group["fields"]}
        if name in known:
            self.widget.faults = {name: str(error)}
            self.say("")
        else:
            self.say(str(error), "bad")


def text(key: str, label: str, **more: Any) -> dict[str, Any]:
    """Return a field for a line of text."""
    return {"key": key, "label": label, "kind": "text", **more}


def area(key: str, label: str, **more: Any) -> dict[str, Any]:
    """Return a field for longer text."""
    return {"key": key, "label": label, "kind": "area", "wide": True, **more}


def check(key: str, label: str, **more: Any) -> dict[str, Any]:
    """Return a box to tick."""
    return {"key": key, "label": label, "kind": "check", **more}


def shown(key: str, label: str, **more: Any) -> dict[str, Any]:
    """Return a value that is shown and cannot be changed here."""
    return {"key": key, "label": label, "kind": "shown", **more}


def choice(key: str, label: str, options: list[tuple[str, str]], **more: Any) -> dict[str, Any]:
    """Return a field with choices (value, label)."""
    found = [{"value": value, "label": name} for value, name in options]
    return {"key": key, "label": label, "kind": "choice", "options": found, **more}


def button(key: str, label: str, **more: Any) -> dict[str, Any]:
    """Return a button."""
    return {"key": key, "label": label, **more}
