"""No leftovers in the tracked files: marks of unfinished work, paths of somebody's machine."""

import re
import subprocess

import pytest

# Written in pieces, or this file would find itself.
MARKS = re.compile(r"\b(?:TO" + "DO|FIX" + "ME|X" + "XX|HA" + "CK)\\b|NotImplemented" + "Error")
MACHINE = re.compile(r"(?<![\w.:/~-])/(?:wo" + r"rk|ro" + r"ot|ho" + r"me/\w+|Us" + r"ers/\w+)/")
REGISTRY = re.compile(r"index-" + r"url\s*=|https?://[^\s\"')]*/(?:pypi|npm)/(?:simple|registry)")
SILENT = re.compile(r"except(?: Exception| BaseException)?:\s*\n\s*pass\b")

TEXT = {
    ".py",
    ".md",
    ".toml",
    ".yml",
    ".yaml",
    ".sh",
    ".html",
    ".ipynb",
    ".css",
    ".js",
    ".cfg",
    "",
}


def tracked(project):
    listed = subprocess.run(
        ["git", "ls-files"], cwd=project, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    paths = [project / line for line in listed.stdout.splitlines()]
    return [path for path in paths if path.suffix in TEXT and path.is_file()]


@pytest.mark.parametrize(
    ("what", "pattern"),
    [
        ("a mark of unfinished work", MARKS),
        ("a path of one machine", MACHINE),
        ("an address of a registry", REGISTRY),
        ("an error swallowed without a word", SILENT),
    ],
)
def test_no_tracked_file_has(project, what, pattern):
    found = []
    for path in tracked(project):
        text = path.read_text(encoding="utf-8")
        for hit in pattern.finditer(text):
            line = text.count("\n", 0, hit.start()) + 1
            found.append(f"{path.relative_to(project)}:{line}: {hit[0]!r}")
    assert not found, f"{what}: {found}"


def test_the_patterns_find_what_they_should():
    assert MARKS.search("# TO" + "DO: later")
    assert MACHINE.search('open("/wo' + 'rk/main/x")')
    assert not MACHINE.search("framework/main, https://example.org/work/x, ~/work/x")
    assert SILENT.search("try:\n    f()\nexcept Exception:\n    pass\n")
