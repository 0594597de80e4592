"""The components' scripts: outside text becomes no markup and no code; nothing comes from afar."""

import re
from importlib.resources import files

import pytest

FOLDERS = [
    files("goodman_live.widgets.components") / "static",
    files("goodman_live.widgets") / "template" / "goodman" / "static",
]
SCRIPTS = [one for folder in FOLDERS for one in folder.iterdir() if one.name.endswith(".js")]
MARKUP = re.compile(
    r"\.(inner|outer)HTML\s*\+?=|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc"
    r"|createContextualFragment|DOMParser"
)
FAR = re.compile(r"https?://(?!www\.w3\.org/2000/svg)\w")


def test_there_are_scripts():
    assert len(SCRIPTS) > 20


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda one: one.name)
def test_text_stays_text_and_nothing_is_fetched_from_afar(script):
    source = script.read_text()
    assert MARKUP.findall(source) == []
    assert FAR.findall(source) == []
