"""The Hub's proxy is found where it is installed, and its absence is said with a remedy."""

import shutil
import subprocess

import pytest

from goodman_live.hub import proxy


def test_the_installed_proxy_runs():
    command = proxy.proxy_command()
    answer = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert answer.stdout.strip()[0].isdigit()


def test_its_absence_names_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(proxy.NoProxyError, match=r"hub\.proxy install"):
        proxy.proxy_command(tmp_path)


def test_an_old_or_broken_node_is_not_taken(tmp_path, monkeypatch):
    old = tmp_path / "node"
    old.write_text("#!/bin/sh\necho v12.22.9\n")
    old.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name: str(old) if name == "node" else None)
    monkeypatch.setattr(proxy, "_wheel", lambda *parts: None)
    assert proxy.find_node() is None
    old.write_text("#!/bin/sh\nexit 1\n")
    assert proxy.find_node() is None
    old.write_text("#!/bin/sh\necho v22.1.0\n")
    assert proxy.find_node() == str(old)


def test_a_failing_npm_is_quoted(tmp_path, monkeypatch):
    node, npm = tmp_path / "node", tmp_path / "npm"
    node.write_text("#!/bin/sh\necho v22.1.0\n")
    npm.write_text("#!/bin/sh\necho 'registry says no' >&2\nexit 7\n")
    for program in (node, npm):
        program.chmod(0o755)
    monkeypatch.setattr(shutil, "which", {"node": str(node), "npm": str(npm)}.get)
    with pytest.raises(proxy.NoProxyError, match="registry says no"):
        proxy.install_proxy(tmp_path / "tools")
