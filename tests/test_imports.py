"""Imports run one way, and the four folders are never imported by their bare names."""

import ast
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
PARTS = ("pipeline", "hub", "server_extension", "widgets")
PREFIX = "goodman_live."

# What each part may import of the project, longest prefix first; the first match counts.
ALLOWED = {
    "pipeline.simulate.cli": ("pipeline",),
    "pipeline.simulate": ("pipeline.simulate",),
    "pipeline.core": ("pipeline.core", "pipeline.data"),
    "pipeline": ("pipeline",),
    "hub.accounts": ("hub.accounts", "pipeline.core.errors"),
    # The demonstration starts everything, so it alone may see everything.
    "hub.demo": ("hub", "pipeline", "server_extension"),
    # Backups and examinations are of an installation as a whole.
    "hub.operate": ("hub", "pipeline", "server_extension"),
    "hub": ("hub", "pipeline.core.errors"),
    "server_extension": (
        *("server_extension", "pipeline"),
        *("hub.accounts", "hub.addresses", "hub.mail", "hub.places", "hub.semester_import"),
    ),
    # The errors are vocabulary, not machinery: the client raises what the service sent.
    "widgets": ("widgets", "pipeline.core.errors"),
    "jupyterhub_config": ("hub",),
}

# pipeline/core is arithmetic: nothing that does I/O, web, database or Dask.
CORE_MAY_NOT = frozenset(
    {"asyncio", "dask", "distributed", "http", "httpx", "jupyter_server", "jupyterhub"}
    | {"multiprocessing", "requests", "socket", "sqlalchemy", "sqlite3", "subprocess", "tornado"}
    | {"urllib", "watchfiles", "astropy.io"}
)


def is_value(target):
    """Say whether this is a type such as Header: a header is a value, opening a file is not."""
    return target.startswith("astropy.io.fits.") and target.rpartition(".")[2][0].isupper()


def modules():
    for part in PARTS:
        for path in sorted((PROJECT / part).rglob("*.py")):
            yield path.relative_to(PROJECT)
    yield Path("jupyterhub_config.py")


def name_of(path):
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def within(name, prefix):
    return name == prefix or name.startswith(prefix + ".")


def imports_of(path, root=PROJECT):
    """Yield (line, absolute module name) of every import, inside functions too."""
    source = (root / path).read_text()
    package = name_of(path) if path.name == "__init__.py" else name_of(path).rpartition(".")[0]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                kept = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = PREFIX + ".".join([*kept, *([base] if base else [])])
            for alias in node.names:
                yield node.lineno, f"{base}.{alias.name}"


def rule_for(name):
    for prefix in sorted(ALLOWED, key=len, reverse=True):
        if within(name, prefix):
            return ALLOWED[prefix]
    raise AssertionError(f"no rule for {name}: add it to ALLOWED")


@pytest.mark.parametrize("path", list(modules()), ids=str)
def test_imports_follow_the_flow(path):
    if not (PROJECT / path).is_file():
        pytest.fail(f"{path} is missing")
    allowed = rule_for(name_of(path))
    against = [
        f"{path}:{line} imports {target}"
        for line, target in imports_of(path)
        if target.startswith(PREFIX)
        and not target.startswith(PREFIX + "__version__")
        and not any(within(target.removeprefix(PREFIX), prefix) for prefix in allowed)
    ]
    assert not against, against


@pytest.mark.parametrize("path", list(modules()), ids=str)
def test_nothing_is_imported_by_its_bare_name(path):
    bare = [
        f"{path}:{line} imports {target}"
        for line, target in imports_of(path)
        if target.split(".")[0] in PARTS
    ]
    assert not bare, bare


@pytest.mark.parametrize(
    "path", [p for p in modules() if within(name_of(p), "pipeline.core")], ids=str
)
def test_the_core_is_pure(path):
    impure = [
        f"{path}:{line} imports {target}"
        for line, target in imports_of(path)
        if not is_value(target) and any(within(target, name) for name in CORE_MAY_NOT)
    ]
    assert not impure, impure


def test_the_check_sees_imports_inside_functions_and_relative_ones(tmp_path):
    path = Path("pipeline/core/bad.py")
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(
        "def f():\n    from goodman_live.server_extension import app\n    from ..blocks import x\n"
    )
    found = [target for _, target in imports_of(path, tmp_path)]
    assert found == ["goodman_live.server_extension.app", "goodman_live.pipeline.blocks.x"]
    assert not any(
        within(found[0].removeprefix(PREFIX), prefix) for prefix in rule_for("pipeline.core.bad")
    )
