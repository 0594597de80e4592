"""`jupyterhub_config.py` as delivered: safe, and loud where it is asked not to be."""

import logging
import os
import re
import runpy
import subprocess
import sys

import pytest
from traitlets.config import Config

from goodman_live.hub import conveniences, spawners, wiring
from goodman_live.hub.authenticator import GoodmanAuthenticator
from goodman_live.hub.mail.settings import MailSettingError
from goodman_live.hub.ports import ports
from goodman_live.hub.spawners import NoAccountError, OneUserSpawner, SystemUserSpawner
from goodman_live.hub.wiring import WiringError, wire

ONE = {"GOODMAN_ONE_OS_USER": "1"}
NAMES = {"GOODMAN_SUBDOMAIN_HOST": "https://goodman.example.org"}


@pytest.fixture
def wired(tmp_path, monkeypatch):
    def fill(**environ):
        c = Config()
        wire(c, {"GOODMAN_DATA": str(tmp_path), **environ})
        return c

    return fill


def test_the_file_at_the_root_only_calls_the_wiring(project, tmp_path, monkeypatch):
    c = Config()
    monkeypatch.setenv("GOODMAN_DATA", str(tmp_path))
    monkeypatch.setenv("GOODMAN_ONE_OS_USER", "1")
    runpy.run_path(str(project / "jupyterhub_config.py"), {"get_config": lambda: c})
    assert c.JupyterHub.services[0]["name"] == "goodman"


def test_one_os_user_for_all_must_be_asked_for_by_name(wired, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(WiringError, match="isolates nobody"):
        wired()
    assert wired(**ONE).JupyterHub.spawner_class is OneUserSpawner


@pytest.fixture
def said(caplog, monkeypatch):
    """Return what the operator reads as the Hub starts."""
    monkeypatch.setattr(conveniences, "get_logger", lambda: logging.getLogger("hub"))
    return lambda: caplog.text


def test_one_os_user_for_all_is_announced(wired, said):
    wired(**ONE)
    assert "isolates nobody" in said()


def test_as_root_one_address_for_all_must_be_asked_for_by_name(wired, said, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(WiringError, match="share the address") as caught:
        wired(GOODMAN_SERVICE_USER="nobody")
    assert "GOODMAN_SUBDOMAIN_HOST" in str(caught.value)
    wired(GOODMAN_SERVICE_USER="nobody", **NAMES)
    assert said() == ""
    wired(GOODMAN_SERVICE_USER="nobody", GOODMAN_SHARED_ORIGIN="1")
    assert "GOODMAN_SHARED_ORIGIN=1" in said()


@pytest.mark.parametrize("name", ["GOODMAN_SUBDOMAIN_HOST", "GOODMAN_PUBLIC_URL"])
def test_clear_text_over_a_network_must_be_asked_for_by_name(wired, said, name):
    with pytest.raises(WiringError, match="clear text"):
        wired(**ONE, **{name: "http://goodman.example.org"})
    wired(**ONE, **{name: "http://goodman.localhost:8000"})
    assert "clear text" not in said()
    wired(**ONE, **{name: "http://goodman.example.org"}, GOODMAN_PLAIN_HTTP="1")
    assert "GOODMAN_PLAIN_HTTP=1: passwords" in said()


@pytest.mark.parametrize(
    "text", ["goodman.example.org", "ftp://x", "https://", "https://h/path", "https://h/?q"]
)
def test_an_address_that_is_none_is_named(wired, text):
    with pytest.raises(WiringError) as caught:
        wired(**ONE, GOODMAN_SUBDOMAIN_HOST=text)
    assert caught.value.field == "GOODMAN_SUBDOMAIN_HOST"


def test_administrators_of_the_hub_are_announced(said, caplog):
    GoodmanAuthenticator(database="sqlite://")
    assert said() == ""
    GoodmanAuthenticator(database="sqlite://", superusers_administer_hub=True)
    assert "every user's server" in said()


def test_behind_tls_cookies_are_secure_and_browsers_come_back_by_it(wired):
    for c in (wired(**ONE, **NAMES), wired(**ONE, GOODMAN_PUBLIC_URL="https://g.example.org")):
        settings = c.JupyterHub.tornado_settings
        assert settings["cookie_options"]["Secure"] is True
        assert "max-age" in settings["headers"]["Strict-Transport-Security"]
    assert "Secure" not in wired(**ONE).JupyterHub.tornado_settings["cookie_options"]


def test_below_a_domain_of_tls_no_subdomain_plants_a_session(wired):
    c = wired(**ONE, **NAMES)
    assert c.JupyterHub.cookie_host_prefix_enabled is True
    told = c.JupyterHub.services[0]["environment"]
    assert told["JUPYTERHUB_COOKIE_HOST_PREFIX_ENABLED"] == "1"
    for more in ({}, {"GOODMAN_SUBDOMAIN_HOST": "http://goodman.localhost:8000"}):
        c = wired(**ONE, **more)
        assert c.JupyterHub.cookie_host_prefix_enabled is False, "browsers would keep none"
        assert (
            "JUPYTERHUB_COOKIE_HOST_PREFIX_ENABLED" not in c.JupyterHub.services[0]["environment"]
        )


def test_only_users_have_subdomains(wired):
    hook = wired(**ONE, **NAMES).JupyterHub.subdomain_hook
    assert hook("goodman", "g.example.org", "service") == "g.example.org"
    names = ["vera", "Vera", "vera--x", "v.era", "goodman", "www", "x" * 63, "ünï", "a_b", "-"]
    made = [hook(name, "g.example.org", "user") for name in names]
    assert len({name.lower() for name in made}) == len({name.lower() for name in names})
    assert all(re.fullmatch(r"[a-z0-9-]{1,63}[.]g[.]example[.]org", name.lower()) for name in made)


def test_pages_are_told_the_service_at_its_own_address(wired):
    told = wired(**ONE, **NAMES, GOODMAN_SERVICE_PORT="8082").Spawner.environment
    assert told["GOODMAN_API_PATH"] == "https://goodman.example.org/services/goodman"
    assert told["GOODMAN_API_URL"] == "http://127.0.0.1:8082/services/goodman"


def test_as_root_each_user_has_an_account(wired, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    c = wired(GOODMAN_SERVICE_USER="nobody", **NAMES)
    assert c.JupyterHub.spawner_class is SystemUserSpawner
    assert c.JupyterHub.services[0]["user"] == "nobody"
    assert "--ServerApp.allow_root=True" not in c.Spawner.cmd


@pytest.mark.parametrize(("account", "says"), [("no-such-account", "useradd"), ("root", "root")])
def test_as_root_the_service_has_an_account_of_its_own(wired, monkeypatch, account, says):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(WiringError, match=says):
        wired(GOODMAN_SERVICE_USER=account, **NAMES)


def test_users_are_limited_and_the_limits_can_be_set(wired):
    c = wired(**ONE)
    assert c.OneUserSpawner.process_memory_mb == c.SystemUserSpawner.process_memory_mb == 4096
    assert c.JupyterHub.active_server_limit == 100
    c = wired(**ONE, GOODMAN_USER_MEMORY_MB="2000", GOODMAN_MOST_SERVERS="5")
    assert c.SystemUserSpawner.process_memory_mb == 2000
    assert c.JupyterHub.active_server_limit == 5
    with pytest.raises(WiringError, match="GOODMAN_MOST_SERVERS"):
        wired(**ONE, GOODMAN_MOST_SERVERS="many")


def test_a_page_that_is_left_open_does_not_keep_its_server(wired):
    c = wired(**ONE)
    assert c.JupyterHub.last_activity_interval == 0, "the proxy's word is not asked"
    [culler] = [one for one in c.JupyterHub.services if one["name"] == "culler"]
    assert f"--timeout={wiring.SERVER_IDLE_S}" in culler["command"]


def test_a_process_that_takes_too_much_memory_is_told_so():
    code = "try:\n    bytearray(2**30)\nexcept MemoryError:\n    print('refused')\n"
    ran = subprocess.run(
        [sys.executable, "-c", code], preexec_fn=lambda: spawners.limit(2**29, 0),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert ran.stdout == "refused\n"


def test_a_token_for_monitoring_reads_metrics(wired, tmp_path):
    secret = tmp_path / "token"
    secret.write_text("0123456789abcdef" * 4)
    c = wired(**ONE, GOODMAN_MONITOR_TOKEN_FILE=str(secret))
    [role] = [r for r in c.JupyterHub.load_roles if r["name"] == wiring.MONITOR]
    assert role["scopes"] == ["access:services!service=goodman", "read:metrics"]


def test_everything_listens_on_loopback(wired):
    c = wired(**ONE)
    addresses = [c.JupyterHub.bind_url, c.JupyterHub.hub_bind_url, c.ConfigurableHTTPProxy.api_url]
    addresses += [service["url"] for service in c.JupyterHub.services if "url" in service]
    assert all(address.startswith("http://127.0.0.1:") for address in addresses)


def test_scopes_are_listed_one_by_one_and_none_is_a_wildcard(wired):
    roles = {role["name"]: role for role in wired(**ONE).JupyterHub.load_roles}
    assert set(roles) == {"user", "server", "goodman-service", "culler"}
    everything = [scope for role in roles.values() for scope in role["scopes"]]
    for scope in everything:
        assert not scope.startswith("admin"), scope
        assert scope not in {"inherit", "all", "proxy", "shutdown"}
    assert "access:services!service=goodman" in roles["server"]["scopes"]
    assert "read:users!user" in roles["server"]["scopes"]


def test_user_servers_are_told_no_secret(wired):
    c = wired(**ONE, GOODMAN_DATABASE="postgresql://u:secret@h/db")
    assert "secret" not in str(c.Spawner.environment)
    assert "GOODMAN_DATABASE" not in c.Spawner.environment
    assert c.JupyterHub.services[0]["environment"]["GOODMAN_DATABASE"].endswith("@h/db")


def test_subdomains_are_let_through_the_content_policy(wired):
    c = wired(**ONE, GOODMAN_SUBDOMAIN_HOST="https://goodman.example.org")
    policy = c.JupyterHub.tornado_settings["headers"]["Content-Security-Policy"]
    assert "form-action 'self' https://*.goodman.example.org" in policy
    assert c.JupyterHub.subdomain_host == "https://goodman.example.org"


@pytest.mark.parametrize("text", ["eighty", "0", "70000", "-1", "80 80"])
def test_a_port_that_is_none_is_named(text):
    with pytest.raises(WiringError) as caught:
        ports({"GOODMAN_HUB_PORT": text})
    assert caught.value.field == "GOODMAN_HUB_PORT"


def test_the_instrument_has_a_token_only_if_one_is_given(wired, tmp_path):
    assert not [s for s in wired(**ONE).JupyterHub.services if s["name"] == wiring.INSTRUMENT]
    secret = tmp_path / "token"
    secret.write_text("0123456789abcdef" * 4 + "\n")
    c = wired(**ONE, GOODMAN_INSTRUMENT_TOKEN_FILE=str(secret))
    [service] = [s for s in c.JupyterHub.services if s["name"] == wiring.INSTRUMENT]
    assert service["api_token"] == "0123456789abcdef" * 4
    [role] = [r for r in c.JupyterHub.load_roles if r["name"] == wiring.INSTRUMENT]
    assert role["scopes"] == ["access:services!service=goodman"]


@pytest.mark.parametrize(("text", "says"), [(None, "cannot be read"), ("short", "32 characters")])
def test_a_bad_instrument_token_stops_the_hub(wired, tmp_path, text, says):
    secret = tmp_path / "token"
    if text:
        secret.write_text(text)
    with pytest.raises(WiringError, match=says):
        wired(**ONE, GOODMAN_INSTRUMENT_TOKEN_FILE=str(secret))


def test_the_service_is_told_where_mail_goes_and_what_cannot_work_stops_the_hub(wired):
    told = wired(**ONE, GOODMAN_SMTP_HOST="mail.example.org").JupyterHub.services[0]["environment"]
    assert told["GOODMAN_SMTP_HOST"] == "mail.example.org"
    assert told["GOODMAN_PUBLIC_URL"] == "http://127.0.0.1:8000"
    with pytest.raises(MailSettingError, match="PASSWORD_FILE"):
        wired(**ONE, GOODMAN_SMTP_HOST="mail.example.org", GOODMAN_SMTP_USER="robot")


def test_no_users_server_runs_as_an_account_that_is_somebody_elses(tmp_path, monkeypatch):
    monkeypatch.setattr(spawners, "ACCOUNT_PREFIX", "")
    for name in ("root", "daemon", "nobody"):
        with pytest.raises(NoAccountError, match="not made for a user"):
            spawners.ensure_account(name, tmp_path)
    assert list(tmp_path.iterdir()) == []
