"""Where the client finds the service, and whom it gives which token."""

import json

import pytest

from goodman_live.widgets.client.address import Address, config_file, find_address
from goodman_live.widgets.client.errors import NoServiceError

HUB = {
    "GOODMAN_API_URL": "http://hub/services/goodman",
    "JUPYTERHUB_API_TOKEN": "of-the-hub",
    "GOODMAN_API_PATH": "/services/goodman",
}


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / ".config" / "goodman-live"
    folder.mkdir(parents=True)
    return {"HOME": str(tmp_path)}


def write(env, text, mode=0o600):
    path = config_file(env)
    path.write_text(text)
    path.chmod(mode)


def test_in_the_hub_nothing_need_be_given():
    found = find_address(environ=HUB)
    assert found == Address("http://hub/services/goodman/", "of-the-hub", "/services/goodman/")


def test_the_hubs_token_is_not_sent_to_another_address():
    assert find_address("http://elsewhere/goodman", environ=HUB).token == ""
    assert find_address("http://hub/services/goodman/", environ=HUB).token == "of-the-hub"


def test_the_file_is_read_where_the_environment_says_nothing(home):
    write(home, 'url = "https://x/services/goodman/"\ntoken = "t"\n')
    assert find_address(environ=home) == Address("https://x/services/goodman/", "t")
    assert find_address(environ=home | HUB).token == "of-the-hub"
    assert find_address("https://x/services/goodman", environ=home).token == "t"
    assert find_address("https://y/services/goodman", environ=home).token == ""


def test_a_token_that_others_can_read_is_refused(home):
    write(home, 'url = "https://x/"\ntoken = "t"\n', mode=0o644)
    with pytest.raises(NoServiceError, match="chmod 600"):
        find_address(environ=home)


@pytest.mark.parametrize("text", ["url = ", "token = 'x'", "url = 'ftp://x/'", "url = 'https://'"])
def test_a_file_that_makes_no_sense_is_said(home, text):
    write(home, text)
    with pytest.raises(NoServiceError):
        find_address(environ=home)


@pytest.mark.parametrize(
    "env", [{"JPY_PARENT_PID": "4242"}, {"JUPYTER_SERVER_URL": "http://localhost:8888/lab/"}]
)
def test_a_kernel_or_terminal_of_a_plain_server_finds_it(home, tmp_path, monkeypatch, env):
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(runtime))
    (runtime / "jpserver-1.json").write_text("{broken")
    info = {"url": "http://localhost:8888/lab/", "token": "plain"}
    (runtime / "jpserver-4242.json").write_text(json.dumps(info))
    found = find_address(environ=home | env)
    assert found == Address("http://localhost:8888/lab/goodman/", "plain")


def test_where_nothing_is_known_the_remedy_names_the_file(home):
    with pytest.raises(NoServiceError, match=r"config\.toml"):
        find_address(environ=home)
