"""The examples of `etc/monitoring/`, read and tried by Prometheus's own `promtool`.

Slow by mark, for promtool is needed; a Prometheus that watches a running service is in
`test_under_systemd.py`.
"""

import shutil
import subprocess

import pytest
import yaml

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is missing"),
]

QUEUE = 'goodman_queue_jobs{state="queued"}'
BUCKET = 'goodman_stage_latency_seconds_bucket{stage="reduce",le="%s"}'
CASES = {
    # name: series that raise it, series that do not, when it is looked at
    "ServiceDown": ({'up{job="goodman"}': "0x9"}, {'up{job="goodman"}': "1x9"}, "5m"),
    "HubDown": ({'up{job="jupyterhub"}': "0x9"}, {'up{job="jupyterhub"}': "1x9"}, "5m"),
    "IntakeStopped": ({"goodman_intake_paused": "1x9"}, {"goodman_intake_paused": "0x9"}, "5m"),
    "DiskFillsUp": (
        {'goodman_disk_free_bytes{folder="raw"}': "1000000-1000x480"},
        {'goodman_disk_free_bytes{folder="raw"}': "1000000-100x480"},
        "8h",
    ),
    "NoWorkers": ({"goodman_dask_workers": "0x9"}, {"goodman_dask_workers": "2x9"}, "5m"),
    "QueueGrows": ({QUEUE: "150+10x60"}, {QUEUE: "900-10x60"}, "50m"),
    "JobsFail": (
        {'goodman_jobs_finished_total{state="failed"}': "0+1x40"},
        {'goodman_jobs_finished_total{state="done"}': "0+1x40"},
        "40m",
    ),
    "FramesRejected": (
        {'goodman_frames_taken_total{outcome="rejected"}': "0+1x40"},
        {'goodman_frames_taken_total{outcome="taken"}': "0+1x40"},
        "40m",
    ),
    "Slow": (
        {BUCKET % "30": "0+1x90", BUCKET % "120": "0+9x90", BUCKET % "+Inf": "0+9x90"},
        {BUCKET % "30": "0+9x90", BUCKET % "120": "0+9x90", BUCKET % "+Inf": "0+9x90"},
        "90m",
    ),
    "LettersFail": (
        {'goodman_letters{state="waiting"}': "60x90"},
        {'goodman_letters{state="waiting"}': "40x90"},
        "90m",
    ),
    # The clock of these tests begins at 0.
    "NoBackup": (
        {"goodman_last_backup_timestamp_seconds": "0x3100"},
        {"goodman_last_backup_timestamp_seconds": "0+60x3100"},
        "51h",
    ),
    "MemoryGrows": (
        {'process_resident_memory_bytes{job="goodman"}': "5000000000x60"},
        {'process_resident_memory_bytes{job="goodman"}': "3000000000x60"},
        "50m",
    ),
    "FilesLeak": (
        {'process_open_fds{job="goodman"}': "900x30", 'process_max_fds{job="goodman"}': "1024x30"},
        {'process_open_fds{job="goodman"}': "90x30", 'process_max_fds{job="goodman"}': "1024x30"},
        "25m",
    ),
}


@pytest.fixture
def folder(project, tmp_path):
    """Return a copy of the examples whose token is there."""
    shutil.copytree(project / "etc" / "monitoring", tmp_path, dirs_exist_ok=True)
    (tmp_path / "token").write_text("0123456789abcdef" * 4)
    config = tmp_path / "prometheus.yaml"
    told = config.read_text()
    assert "/etc/prometheus/goodman-token" in told
    config.write_text(told.replace("/etc/prometheus/goodman-token", str(tmp_path / "token")))
    return tmp_path


def promtool(folder, *words):
    done = subprocess.run(
        ["promtool", *words], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_prometheus_takes_the_configuration_and_its_rules(folder):
    said = promtool(folder, "check", "config", "prometheus.yaml")
    assert f"SUCCESS: {len(CASES)} rules found" in said


def test_each_alert_is_raised_when_it_must_be_and_not_otherwise(folder):
    [group] = yaml.safe_load((folder / "alerts.yaml").read_text())["groups"]
    assert {rule["alert"] for rule in group["rules"]} == CASES.keys()
    raising = 'count(ALERTS{alertname="%s",alertstate="firing"}) or vector(0)'
    tests = [
        {
            "interval": "1m",
            "input_series": [
                {"series": name, "values": values} for name, values in series.items()
            ],
            "promql_expr_test": [
                {
                    "expr": raising % alert,
                    "eval_time": when,
                    "exp_samples": [{"labels": "{}", "value": raised}],
                }
            ],
        }
        for alert, (bad, good, when) in CASES.items()
        for series, raised in ((bad, 1), (good, 0))
    ]
    whole = {"rule_files": ["alerts.yaml"], "evaluation_interval": "1m", "tests": tests}
    (folder / "tests.yaml").write_text(yaml.safe_dump(whole))
    promtool(folder, "test", "rules", "tests.yaml")
