"""Where the project's own files are: in a source tree, or as installed shared data."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_SOURCE = Path(__file__).resolve().parent.parent
SHARE = Path(sys.prefix) / "share" / "goodman_live"
"""Where an installed wheel puts what is not a module."""


def source_tree() -> Path | None:
    """Return the root of the source tree this package runs from, or None when installed."""
    return _SOURCE if (_SOURCE / "pyproject.toml").is_file() else None


def notebooks() -> Path:
    """Return the folder of the pages' notebooks; a source tree's own come first."""
    source = source_tree()
    return source / "notebooks" if source else SHARE / "notebooks"


def hub_config() -> Path:
    """Return the path of `jupyterhub_config.py`."""
    return (source_tree() or SHARE) / "jupyterhub_config.py"


def tools() -> Path:
    """Return the folder where programs that are not Python are installed."""
    source = source_tree()
    return source / ".tools" if source else SHARE / "tools"


def jupyter_path() -> Path | None:
    """Return a folder to put first on Jupyter's path, or None where none is needed.

    An installed wheel has the pages' template where Jupyter looks anyway. A source tree has a link
    to it in a folder of the shape that Jupyter expects, so that an edit shows at once; kept in the
    tree, for where the Hub runs the tree is not to be written.
    """
    source = source_tree()
    return source / "etc" / "jupyter" if source else None


def point(link: Path, target: Path) -> None:
    """Make `link` a symbolic link to `target`, replacing an older link but never a real file.

    Raises
    ------
    FileExistsError
        If something other than a link is in its place.
    """
    if link.is_symlink() and link.readlink() == target:
        return
    if link.exists() and not link.is_symlink():
        raise FileExistsError(f"{link} is in the way of a link to {target}: move it aside.")
    # Made beside and moved over, so that no moment has none.
    fresh = link.with_name(f".{link.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(link)
