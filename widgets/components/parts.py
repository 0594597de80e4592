"""The components of the Data page, as traits: what each shows. How is in ``static/``."""

from __future__ import annotations

import traitlets as t

from goodman_live.widgets.components.base import Component, script


class FileIndex(Component):
    """The list of files: sections with counts, rows, paging, keyboard.

    Sends ``section`` (key), ``page`` (number) and ``filter`` (text); sets `selected` itself.
    """

    _esm = script("index")
    sections = t.List(t.Dict()).tag(sync=True)
    section = t.Unicode("observed").tag(sync=True)
    rows = t.List(t.Dict()).tag(sync=True)
    selected = t.Int(0).tag(sync=True)
    shown = t.Int(0).tag(sync=True)
    addressed = t.Bool(default_value=True).tag(sync=True)
    page = t.Int(1).tag(sync=True)
    pages = t.Int(1).tag(sync=True)
    unseen = t.Int(0).tag(sync=True)
    state = t.Unicode("loading").tag(sync=True)
    message = t.Unicode("Loading…").tag(sync=True)
    scope = t.Unicode("").tag(sync=True)
    """What the list is of, where it is not of all; a link beside it leads to all."""


class Head(Component):
    """Title, tabs of the current products, a list of the others, facts, what it waits for.

    Sends ``tab`` (file number), but not while another frame is `opening`.
    """

    _esm = script("head")
    title = t.Unicode("").tag(sync=True)
    tabs = t.List(t.Dict()).tag(sync=True)
    more = t.List(t.Dict()).tag(sync=True)
    selected = t.Int(0).tag(sync=True)
    facts = t.List(t.Dict()).tag(sync=True)
    waits = t.List(t.Dict()).tag(sync=True)
    opening = t.Bool(default_value=False).tag(sync=True)


class HeaderTable(Component):
    """The FITS header, folded until `unfolded`."""

    _esm = script("cards")
    name = t.Unicode("").tag(sync=True)
    unfolded = t.Bool(default_value=False).tag(sync=True)
    cards = t.List(t.Dict()).tag(sync=True)
    message = t.Unicode("").tag(sync=True)


class Actions(Component):
    """Buttons that fit the file, and the jobs they started.

    Sends ``act`` (``key`` and the action's ``file``), ``cancel`` and ``dismiss`` (job number).
    """

    _esm = script("actions")
    actions = t.List(t.Dict()).tag(sync=True)
    jobs = t.List(t.Dict()).tag(sync=True)


class Comments(Component):
    """What people wrote about a file; nothing can be added while `file` is 0.

    Sends ``comment`` (``file`` and ``text``) and ``uncomment`` (number). What is being typed stays
    with the frame `root`.
    """

    _esm = script("comments")
    file = t.Int(0).tag(sync=True)
    root = t.Int(0).tag(sync=True)
    comments = t.List(t.Dict()).tag(sync=True)
    kept = t.Int(0).tag(sync=True)
    message = t.Unicode("").tag(sync=True)


class Notice(Component):
    """One line over the page; also notices in the browser that the kernel is silent."""

    _esm = script("notice")
    text = t.Unicode("").tag(sync=True)
    tone = t.Unicode("info").tag(sync=True)
    retry = t.Bool(default_value=False).tag(sync=True)
    beat = t.Int(0).tag(sync=True)
    patience = t.Float(15.0).tag(sync=True)


class Text(Component):
    """A line of plain text, hidden while it is empty."""

    _esm = script("text")
    text = t.Unicode("").tag(sync=True)
    kind = t.Unicode("").tag(sync=True)


class ColourBar(Component):
    """The colours of an image with their values."""

    _esm = script("bar")
    bar = t.Dict().tag(sync=True)
