"""The configuration of each user's own server: Voilà's pages and what is switched off.

Read by the user's server itself (``--config``), so it runs as that user; it holds no secret and
protects nobody but the user from accidents. Walls are where the user cannot reach: the spawner,
the service, the proxy.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goodman_live.hub.places import jupyter_path, notebooks, point
from goodman_live.hub.policy import USER_PAGES, written

if TYPE_CHECKING:
    from collections.abc import Mapping

FIRST_PAGE = "/voila/render/pages/home.ipynb"
"""Where a user's server sends the browser that brings no other address."""
PAGES = "pages"
"""Name of the link, in the user's folder, to the notebooks of the pages."""
LAB_EXTENSIONS = [
    "@jupyter-widgets/jupyterlab-manager",
    "@voila-dashboards/widgets-manager8",
    "anywidget",
    "bqplot",
    "bqscales",
]
"""Front-end extensions that a page loads; whatever else is installed stays out of it."""
PREVIEW = "goodman_live.widgets.preview"
"""Extension of the user's server; it speaks to the service with the token that pages have."""
CONTACT = ("GOODMAN_CONTACT_NAME", "GOODMAN_CONTACT_EMAIL")
"""Whom the footer of every page names, as the operator's environment says."""
KERNEL_IDLE_S = 15 * 60
"""A page's kernel that nobody is connected to is stopped after this time."""


def spawner_command() -> list[str]:
    """Return module and options of a user's server, for ``python -m``."""
    return ["jupyterhub.singleuser", f"--config={Path(__file__).resolve()}"]


def spawner_environment(api_url: str, api_path: str) -> dict[str, str]:
    """Return what a user's server is told; nothing of it is secret.

    Parameters
    ----------
    api_url : str
        Address of the service as the server reaches it.
    api_path : str
        The service as the browser reaches it: a path, or an address where it is another host.
    """
    told = {
        "GOODMAN_API_URL": api_url,
        "GOODMAN_API_PATH": api_path,
        "JUPYTERHUB_SINGLEUSER_APP": "jupyter_server.serverapp.ServerApp",
        # Importing numpy must not take every core of the machine for one page.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    path = jupyter_path()
    return told | ({"JUPYTER_PATH": str(path)} if path else {})


def configure(c: Any, environ: Mapping[str, str] | None = None) -> None:
    """Fill in the configuration of a user's server.

    Parameters
    ----------
    c : traitlets.config.Config
        Configuration to fill.
    environ : mapping, optional
        Environment to read instead of the process's own.
    """
    environ = os.environ if environ is None else environ
    # Where users' servers have subdomains, the Hub is on another host.
    hub = f"{environ.get('JUPYTERHUB_HOST', '')}{environ.get('JUPYTERHUB_BASE_URL', '/')}hub/"
    c.ServerApp.terminals_enabled = False
    c.ServerApp.tornado_settings = {
        "headers": {
            "Content-Security-Policy": written(USER_PAGES),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",
        }
    }
    c.ServerApp.jpserver_extensions = {"voila.server_extension": True, PREVIEW: True}
    c.ServerApp.kernel_manager_class = "goodman_live.hub.warm.WarmKernelManager"
    # What a kernel publishes goes to whoever connects to its port, of any account of the machine;
    # encrypted, to those alone who can read its connection file.
    c.KernelManager.transport_encryption = "required"
    c.MappingKernelManager.cull_idle_timeout = KERNEL_IDLE_S
    c.MappingKernelManager.cull_interval = 60
    # A page that is open keeps its kernel, however quiet the night.
    c.MappingKernelManager.cull_connected = False
    c.VoilaConfiguration.template = "goodman"
    # What a notebook's metadata asks for must not replace the frame around every page.
    c.VoilaConfiguration.allow_template_override = "NO"
    c.VoilaConfiguration.allow_theme_override = "NO"
    c.VoilaConfiguration.extension_allowlist = LAB_EXTENSIONS
    c.VoilaConfiguration.show_tracebacks = False
    # Voilà would serve any file of the folder; pages need none.
    c.VoilaConfiguration.file_allowlist = []
    c.VoilaConfiguration.resources = {
        "goodman": {
            "user": environ.get("JUPYTERHUB_USER", ""),
            "api_path": environ.get("GOODMAN_API_PATH", ""),
            "logout_url": f"{hub}logout",
            "hub_home": f"{hub}home",
            "contact": {
                "name": environ.get("GOODMAN_CONTACT_NAME", ""),
                "email": environ.get("GOODMAN_CONTACT_EMAIL", ""),
            },
        }
    }


def link_pages(folder: Path) -> None:
    """Put the link to the pages' notebooks into the user's folder."""
    point(folder / PAGES, notebooks())


if "get_config" in globals():  # read as a configuration file by the user's server
    link_pages(Path.cwd())
    configure(globals()["get_config"]())
