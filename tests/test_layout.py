"""The package layout holds: links, one copy of each module, environment and project in step."""

import re
import subprocess
import sys
import tomllib

import pytest
import yaml

from goodman_live import __version__

PARTS = ("pipeline", "hub", "server_extension", "widgets")


@pytest.mark.parametrize("part", PARTS)
def test_each_part_is_a_relative_link_into_the_source_tree(project, part):
    link = project / "goodman_live" / part
    assert link.is_symlink()
    assert str(link.readlink()) == f"../{part}"
    assert (link / "__init__.py").is_file()


@pytest.mark.parametrize("part", PARTS)
def test_each_part_is_imported_from_this_tree(project, part):
    code = f"import goodman_live.{part} as m, os; print(os.path.realpath(m.__file__))"
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert seen.stdout.strip() == str((project / part / "__init__.py").resolve())


def test_links_are_kept_by_git_as_links(project):
    listed = subprocess.run(
        ["git", "ls-files", "-s", "goodman_live"],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    links = [line for line in listed.stdout.splitlines() if line.startswith("120000 ")]
    assert len(links) == len(PARTS)


def requirement_name(text):
    return re.match(r"[A-Za-z0-9._-]+", text)[0].lower().replace("_", "-")


def requirement(text):
    """Return (name, version clause) of a requirement, without extras and spaces."""
    return requirement_name(text), re.sub(r"^[A-Za-z0-9._-]+(\[[^\]]*\])?", "", text).strip()


def test_environment_yml_is_in_step_with_pyproject(project):
    wanted = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    environment = yaml.safe_load((project / "environment.yml").read_text())
    listed = [text for text in environment["dependencies"] if isinstance(text, str)]
    from_pip = [
        text
        for part in environment["dependencies"]
        if isinstance(part, dict)
        for text in part["pip"]
    ]
    conda = {requirement_name(text): requirement(text)[1] for text in listed + from_pip}
    assert conda["python"] == wanted["requires-python"]
    for text in wanted["dependencies"]:
        name, version = requirement(text)
        assert conda.get(name) == version, f"environment.yml lacks or differs on {text}"
    known = {requirement_name(text) for text in wanted["dependencies"]}
    extra = set(conda) - known - {"python", "pip", "nodejs", "configurable-http-proxy"}
    assert not extra, f"environment.yml has what pyproject.toml does not: {extra}"


def test_every_dependency_says_why_it_is_there(project):
    lines = (project / "pyproject.toml").read_text().splitlines()
    start = lines.index("dependencies = [")
    block = lines[start + 1 : lines.index("]", start)]
    unexplained, reason = [], ""
    for line in block:
        if line.strip().startswith("#"):
            reason = line
        elif "#" not in line and not reason:
            unexplained.append(line)
    assert not unexplained


def test_the_version_is_said_once(project):
    assert f"## {__version__}" in (project / "CHANGELOG.md").read_text()
