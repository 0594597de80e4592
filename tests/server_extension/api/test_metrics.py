"""Metrics and health: what monitoring reads, and that the examples name nothing else."""

import json
import re

import pytest
import yaml

METRIC = re.compile(r"\b(?:goodman|process|http|jupyterhub)_[a-z0-9_]+")
HUBS_OWN = {"jupyterhub_running_servers", "jupyterhub_active_users"}


def sent(client):
    answer = client.get("api/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain")
    return answer.text


def expressions(project):
    folder = project / "etc" / "monitoring"
    rules = yaml.safe_load((folder / "alerts.yaml").read_text())
    board = json.loads((folder / "grafana-dashboard.json").read_text())
    alerts = [rule for group in rules["groups"] for rule in group["rules"]]
    assert all(rule["annotations"]["mend"] for rule in alerts)
    told = [rule["expr"] for rule in alerts]
    told += [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    assert len(told) > 20
    return told


def test_every_metric_that_the_examples_name_is_sent(as_, project):
    as_("staff").get("api/")
    text = sent(as_("staff"))
    names = set(re.findall(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)[{ ]", text, re.MULTILINE))
    names |= set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)) | HUBS_OWN
    for histogram in re.findall(r"^# TYPE (\S+) histogram", text, re.MULTILINE):
        names |= {f"{histogram}_bucket", f"{histogram}_count", f"{histogram}_sum"}
    named = {name for told in expressions(project) for name in METRIC.findall(told)}
    assert named - names == set()


def test_the_hubs_own_metrics_are_those_that_are_named():
    from jupyterhub import metrics  # noqa: PLC0415 (heavy)

    known = {family.name for family in metrics.REGISTRY.collect()} if hasattr(
        metrics, "REGISTRY"
    ) else {metrics.RUNNING_SERVERS._name, metrics.ACTIVE_USERS._name}  # fmt: skip
    assert known >= HUBS_OWN


@pytest.mark.parametrize(
    "line",
    [
        'goodman_queue_jobs{state="queued"}',
        'goodman_letters{state="waiting"} 0.0',
        "goodman_dask_workers",
        "goodman_intake_paused 0.0",
        "goodman_event_streams",
        "goodman_pictures_bytes",
        "goodman_last_backup_timestamp_seconds 0.0",
        "goodman_disk_free_bytes{",
    ],
)
def test_what_has_not_happened_yet_is_sent_too(as_, line):
    assert line in sent(as_("staff"))


def test_health_says_what_works(as_):
    health = as_("staff").get("api/health").json()
    assert health["status"] == "ok", health
    assert health["dask_workers"] >= 1


@pytest.mark.parametrize("who", ["pi", "stranger"])
@pytest.mark.parametrize("path", ["api/metrics", "api/health"])
def test_neither_is_for_everybody(as_, who, path):
    assert as_(who).get(path).status_code == 403
