"""Components of the pages beside Data, as traits. How each is drawn is in ``static/``."""

from __future__ import annotations

import traitlets as t

from goodman_live.widgets.components.base import Component, script


class Place(Component):
    """The address of the page: `query` is what follows the question mark."""

    _esm = script("place")
    query = t.Unicode("").tag(sync=True)


class Sections(Component):
    """The parts of a page as tabs, hidden where there is one; sends ``section`` (key)."""

    _esm = script("sections")
    label = t.Unicode("Parts of this page").tag(sync=True)
    sections = t.List(t.Dict()).tag(sync=True)
    section = t.Unicode("").tag(sync=True)


class Form(Component):
    """Groups of fields.

    A field has ``key label kind`` (text, email, number, choice, check, area, date or shown) and,
    where they apply, ``help default options min max step most hint required suggestions wide``.
    A button has ``key label`` and may be ``main``, ask to ``confirm``, or be a link (``href``).

    Sends ``change`` and ``press``, each with ``key`` and all ``values``.
    """

    _esm = script("form")
    title = t.Unicode("").tag(sync=True)
    intro = t.Unicode("").tag(sync=True)
    groups = t.List(t.Dict()).tag(sync=True)
    values = t.Dict().tag(sync=True)
    faults = t.Dict().tag(sync=True)
    message = t.Unicode("").tag(sync=True)
    tone = t.Unicode("info").tag(sync=True)
    buttons = t.List(t.Dict()).tag(sync=True)
    editable = t.Bool(default_value=True).tag(sync=True)
    busy = t.Bool(default_value=False).tag(sync=True)
    summoned = t.Bool(default_value=False).tag(sync=True)


class Rows(Component):
    """A table.

    A column has ``key label`` and may name the ordering that it ``sort``s by, the key of a row
    that holds its ``link`` or its ``tone``, and a ``kind`` (mono, file, long, text). A row has a
    ``key``, a ``name`` for screen readers, its cells, and may have ``actions`` and ``more`` to
    unfold.

    Sends ``filters sort page act pick tool column``.
    """

    _esm = script("rows")
    title = t.Unicode("").tag(sync=True)
    fields = t.List(t.Dict()).tag(sync=True)
    chosen = t.Dict().tag(sync=True)
    columns = t.List(t.Dict()).tag(sync=True)
    optional = t.List(t.Dict()).tag(sync=True)
    rows = t.List(t.Dict()).tag(sync=True)
    ordering = t.Unicode("").tag(sync=True)
    selectable = t.Bool(default_value=False).tag(sync=True)
    picked: t.List[int] = t.List().tag(sync=True)
    tools = t.List(t.Dict()).tag(sync=True)
    message = t.Unicode("Loading…").tag(sync=True)
    state = t.Unicode("loading").tag(sync=True)
    page = t.Int(1).tag(sync=True)
    pages = t.Int(1).tag(sync=True)
    count = t.Int(0).tag(sync=True)


class Facets(Component):
    """The filters of a search with counts.

    Sends ``filters``: what is ``chosen`` (name to list of values) and its ``serial``, which is
    kept as `heard` so that the browser knows whether `chosen` is what was chosen last.
    """

    _esm = script("facets")
    groups = t.List(t.Dict()).tag(sync=True)
    chosen = t.Dict().tag(sync=True)
    heard = t.Int(0).tag(sync=True)
    fault = t.Unicode("").tag(sync=True)


class Proposals(Component):
    """Proposals that unfold.

    Sends ``filters page tool`` and, where `inplace`, ``open`` (``key`` collaborators or settings,
    ``row`` the proposal's number).
    """

    _esm = script("proposals")
    title = t.Unicode("Proposals").tag(sync=True)
    rows = t.List(t.Dict()).tag(sync=True)
    opened = t.Int(0).tag(sync=True)
    inplace = t.Bool(default_value=False).tag(sync=True)
    tools = t.List(t.Dict()).tag(sync=True)
    message = t.Unicode("Loading…").tag(sync=True)
    page = t.Int(1).tag(sync=True)
    pages = t.Int(1).tag(sync=True)
    count = t.Int(0).tag(sync=True)


class Figures(Component):
    """Small figures: ``bars`` with parts, or ``points`` over time, each ``said`` in words."""

    _esm = script("figures")
    figures = t.List(t.Dict()).tag(sync=True)


class Tiles(Component):
    """A title, numbers that may lead somewhere, and sentences."""

    _esm = script("tiles")
    title = t.Unicode("").tag(sync=True)
    tiles = t.List(t.Dict()).tag(sync=True)
    lines = t.List(t.Dict()).tag(sync=True)


class Secret(Component):
    """A token that is shown once; sends ``forget``."""

    _esm = script("secret")
    token = t.Unicode("").tag(sync=True)


class Saver(Component):
    """Hands the reader a text file; ``__ORIGIN__`` becomes the address of the page's host."""

    _esm = script("save")
    name = t.Unicode("").tag(sync=True)
    text = t.Unicode("").tag(sync=True)
    serial = t.Int(0).tag(sync=True)

    def hand(self, name: str, text: str) -> None:
        """Let the browser save a file."""
        with self.hold_sync():
            self.name, self.text = name, text
            self.serial += 1
