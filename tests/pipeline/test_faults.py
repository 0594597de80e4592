"""The table of faults names tests that exist."""

import re

import pytest


@pytest.fixture
def named(project):
    """Give (path, test) of every test that the table names."""
    text = (project / "docs" / "faults.md").read_text(encoding="utf-8")
    return re.findall(r"`([\w/]+\.py)::(\w+)`", text)


def test_every_fault_has_a_test_that_exists(project, named):
    assert len(named) > 40
    for path, test in named:
        source = (project / "tests" / "pipeline" / path).read_text(encoding="utf-8")
        assert f"def {test}(" in source, f"{path} has no {test}"


def test_every_row_names_a_test(project):
    lines = (project / "docs" / "faults.md").read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith("|")][2:]
    assert all("::test_" in row for row in rows)
