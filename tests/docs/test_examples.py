"""The examples in `etc/`: what can run here runs, the rest is checked as configuration."""

import os
import re
import shutil
import subprocess
import sys
import tarfile

import pytest
import yaml
from traitlets.config import Config

from goodman_live.hub import userserver, wiring
from goodman_live.hub.accounts.database import make_engine, session_factory
from goodman_live.hub.accounts.users import create_user
from goodman_live.hub.operate import parts
from goodman_live.hub.operate.findings import Level
from goodman_live.server_extension.catalogue.migrate import migrate

GOOD = "a-long-w0rd-for-tests!"


@pytest.fixture
def examples(project):
    return project / "etc"


def variables(examples):
    """Return each variable of the environment file, with its value, commented or not."""
    text = (examples / "goodman-live.env").read_text()
    return dict(re.findall(r"^#?([A-Z_]+)=(.*)$", text, re.MULTILINE))


def test_the_environment_is_one_that_the_hub_takes(examples, tmp_path, monkeypatch, project):
    told = variables(examples)
    guide = (project / "docs" / "operator.md").read_text()
    assert {name for name in told if name not in guide} == set()
    for name in list(told):
        if name.endswith("_TOKEN_FILE"):
            (tmp_path / name).write_text("0123456789abcdef" * 4)
            told[name] = str(tmp_path / name)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    c = Config()
    plain = {name: value.strip('"') for name, value in told.items()}
    wiring.wire(c, plain | {"GOODMAN_SERVICE_USER": "nobody"})
    service = c.JupyterHub.services[0]["environment"]
    assert service["GOODMAN_DATABASE"].startswith("postgresql://")
    assert service["PGPASSFILE"] == "/etc/goodman-live/pgpass"
    assert "PGPASSFILE" not in c.Spawner.environment
    assert [one["name"] for one in c.JupyterHub.services][2:] == ["instrument", "monitor"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing")
def test_systemd_understands_the_units(examples, project, tmp_path):
    units = []
    for path in sorted((examples / "systemd").iterdir()):
        # Programs must be there: those of this tree stand for those of /opt.
        text = path.read_text().replace("/opt/goodman-live/.venv/bin/", f"{tmp_path}/bin/")
        text = text.replace("/opt/goodman-live", str(project))
        (tmp_path / path.name).write_text(text)
        units.append(str(tmp_path / path.name))
    (tmp_path / "bin").mkdir()
    for name in ("python", "dask"):
        shutil.copy("/bin/true", tmp_path / "bin" / name)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units],
        capture_output=True, text=True, check=False,
        env={"PATH": os.environ["PATH"], "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
    )  # fmt: skip
    ours = [line for line in done.stderr.splitlines() if "goodman" in line]
    assert ours == []
    assert done.returncode == 0, done.stderr


def test_kubernetes_gives_what_one_machine_gives_and_users_no_data(examples, project, monkeypatch):
    values = yaml.safe_load((examples / "kubernetes" / "values.yaml").read_text())
    roles = values["hub"]["loadRoles"]
    assert roles["user"]["scopes"] == wiring.USER_SCOPES
    c = Config()
    wiring.wire(c, {"GOODMAN_ONE_OS_USER": "1"})
    here = {role["name"]: role for role in c.JupyterHub.load_roles}
    assert set(roles["server"]["scopes"]) == set(here["server"]["scopes"])
    assert roles["goodman-service"]["scopes"] == wiring.SERVICE_SCOPES
    user = values["singleuser"]
    assert user["networkPolicy"]["egressAllowRules"] == {
        "cloudMetadataServer": False, "privateIPs": False, "nonPrivateIPs": False,
    }  # fmt: skip
    [rule] = user["networkPolicy"]["egress"]
    assert rule["to"] == [{"podSelector": {"matchLabels": {"app": "goodman-service"}}}]
    assert "extraVolumes" not in user["storage"]
    assert not re.search("DATABASE|DASK|GOODMAN_DATA", yaml.safe_dump(user))
    assert user["extraPodConfig"]["automountServiceAccountToken"] is False
    assert values["hub"]["config"]["JupyterHub"]["subdomain_host"].startswith("https://")
    c = Config({"KubeSpawner": {"environment": {}}})
    monkeypatch.setenv(
        "GOODMAN_SUBDOMAIN_HOST", values["hub"]["extraEnv"]["GOODMAN_SUBDOMAIN_HOST"]
    )
    exec(values["hub"]["extraConfig"]["goodman"], {"c": c})  # noqa: S102 (what the chart does)
    [templates] = c.JupyterHub.template_paths
    assert (project / "hub" / "templates").samefile(templates)
    assert "Content-Security-Policy" in c.JupyterHub.tornado_settings["headers"]
    assert c.KubeSpawner.default_url == userserver.FIRST_PAGE
    assert c.KubeSpawner.environment["GOODMAN_API_PATH"].startswith("https://")
    # The image's own folder is the Hub's, closed to the accounts of these pods.
    assert c.KubeSpawner.working_dir == user["storage"]["homeMountPath"]
    text = (examples / "kubernetes" / "service.yaml").read_text()
    deployment, _, claim = yaml.safe_load_all(text)
    pod = deployment["spec"]["template"]["spec"]
    assert deployment["spec"]["replicas"] == 1
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert values["hub"]["networkPolicy"]["enabled"]
    assert labels["hub.jupyter.org/network-access-hub"] == "true"
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert pod["securityContext"]["runAsNonRoot"]
    [volume] = pod["volumes"]
    assert volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    [box] = pod["containers"]
    told = {one["name"]: one.get("value") for one in box["env"]}
    assert told["HOME"] == box["workingDir"] == box["volumeMounts"][0]["mountPath"]
    assert told["JUPYTERHUB_SERVICE_PREFIX"] == "/services/goodman/"
    assert told["GOODMAN_DATABASE"] is None, "a secret"


def test_docker_publishes_no_database_and_drops_what_root_needs_not(examples):
    compose = yaml.safe_load((examples / "docker" / "compose.yaml").read_text())
    services = compose["services"]
    assert [name for name, one in services.items() if "ports" in one] == ["network"]
    assert services["network"]["sysctls"] == {"net.ipv4.ip_unprivileged_port_start": 1024}
    for name in ("front", "hub"):
        assert services[name]["network_mode"] == "service:network"
    assert compose["networks"]["database"]["internal"]
    assert services["db"]["networks"] == ["database"]
    assert services["hub"]["cap_drop"] == ["ALL"]
    assert services["hub"]["mem_limit"]
    for one in services.values():
        assert not re.search(r"PASSWORD: [^/]", yaml.safe_dump(one))
    text = (examples / "docker" / "Dockerfile").read_text()
    assert "GOODMAN_ONE_OS_USER" not in text
    # pg_dump refuses a newer server, and an older one what it wrote.
    [client] = re.findall(r"postgresql-client-(\d+)", text)
    assert services["db"]["image"] == f"postgres:{client}"


def test_an_image_holds_nothing_that_a_checkout_gathers(examples, project):
    left_out = (project / ".dockerignore").read_text().splitlines()
    assert {".*", "live"} <= set(left_out)
    needed = re.findall(
        r"/opt/goodman-live/([\w/.]+)", (examples / "docker/Dockerfile").read_text()
    )
    assert [name for name in needed if name[0] != "." and not (project / name).exists()] == []


def test_nobody_on_the_machine_commands_the_front(examples):
    options, _ = (examples / "proxy" / "Caddyfile").read_text().split("\n}\n", 1)
    assert re.search(r"^    admin off$", options, re.MULTILINE)


def test_backups_one_after_the_other(project, tmp_path):
    data, place = tmp_path / "data", tmp_path / "backups"
    (data / "raw").mkdir(parents=True)
    (data / "raw" / "0001.fits").write_bytes(b"frame" * 1000)
    url = f"sqlite:///{data}/goodman.sqlite"
    migrate(url)
    engine = make_engine(url)
    with session_factory(engine)() as session:
        create_user(session, username="vera", email="v@example.org", password=GOOD)
    engine.dispose()
    for old in ("2026-01-01T000000Z", "2026-01-02T000000Z"):
        (place / old).mkdir(parents=True)
    env = os.environ | {
        "GOODMAN_DATA": str(data),
        "GOODMAN_DATABASE": url,
        "GOODMAN_LIVE": f"{os.path.dirname(sys.executable)}/goodman-live",  # noqa: PTH120
        "GOODMAN_STATE": str(tmp_path / "state"),
    }
    (tmp_path / "state" / "hub").mkdir(parents=True)
    (tmp_path / "state" / "hub" / "cookie_secret").write_text("secret")
    (tmp_path / "state" / "hub" / "jupyterhub-proxy.pid").write_text("1")
    script = ["sh", str(project / "setup" / "backup.sh"), str(place), "2"]
    made = []
    for _ in range(3):
        subprocess.run(script, env=env, check=True, capture_output=True)
        [new] = [path for path in place.iterdir() if path not in made]
        # Named by the second: three within one would be one.
        made.append(new.rename(place / f"2026-01-0{len(made) + 1}T000000Z"))
    left = sorted(place.iterdir())
    assert [path.name[:10] for path in left] == ["2026-01-02", "2026-01-03"]
    inodes = {(path / "files" / "raw" / "0001.fits").stat().st_ino for path in left}
    assert len(inodes) == 1, "the frame is there once"
    with tarfile.open(left[-1] / "state.tar.gz") as state:
        assert set(state.getnames()) == {"state", "state/hub", "state/hub/cookie_secret"}


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is missing")
def test_a_dask_cluster_with_our_own_authority(examples, tmp_path, free_port):
    script = examples / "dask" / "make-certificates.sh"
    subprocess.run(["sh", str(script), str(tmp_path / "tls")], check=True, capture_output=True)
    tls, port = tmp_path / "tls", free_port()
    assert all(path.stat().st_mode & 0o077 == 0 for path in tls.iterdir())

    def files(who):
        return [
            *("--tls-ca-file", f"{tls}/ca.pem"),
            *("--tls-cert", f"{tls}/{who}.pem", "--tls-key", f"{tls}/{who}.key"),
        ]

    dask = [sys.executable, "-m", "dask"]
    address = f"tls://127.0.0.1:{port}"
    started = [
        subprocess.Popen(
            [
                *(*dask, "scheduler", "--no-dashboard", "--host", "127.0.0.1"),
                *("--port", str(port), *files("scheduler")),
            ],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ),
        subprocess.Popen(
            [
                *(*dask, "worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard"),
                *files("worker"),
            ],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ),
    ]  # fmt: skip
    profile = tmp_path / "dask.yaml"
    profile.write_text(
        f"kind: scheduler\naddress: {address}\n"
        f"tls: {{ca_file: {tls}/ca.pem, cert: {tls}/client.pem, key: {tls}/client.key}}\n"
    )
    environ = {"GOODMAN_DASK": str(profile)}
    try:
        for _ in range(30):
            [said] = parts.dask(environ)
            if said.level is Level.OK:
                break
        assert said.level is Level.OK, said
        # Of another authority, whatever it says of itself.
        other = tmp_path / "other"
        subprocess.run(["sh", str(script), str(other)], check=True, capture_output=True)
        profile.write_text(profile.read_text().replace(f"{tls}/client", f"{other}/client"))
        [said] = parts.dask(environ)
        assert said.level is Level.ERROR
    finally:
        for process in started:
            process.kill()  # a worker that is asked to leave looks for its scheduler first
            process.wait()
