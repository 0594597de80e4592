"""Worker processes: order, errors as values, killed workers, and what they may not spoil."""

from __future__ import annotations

import sys

import pytest

from goodman_live.pipeline.core.errors import GoodmanError, NoTargetError
from goodman_live.pipeline.crew import BlockCrashError, Call, Crew, Job, WorkerKilledError

HELPER = """
import os, signal, time
from pathlib import Path
from goodman_live.pipeline.core.errors import NoTargetError

def echo(main, **options):
    return main, os.getpid()

def no_target(main, **options):
    raise NoTargetError(f"{main} shows no target.", remedy="Place one.", field="row")

def crash(main, **options):
    return {}[main]

def die_once(main, *, marker):
    if not Path(marker).exists():
        Path(marker).touch()
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGKILL)
    return main

def die(main, **options):
    os.kill(os.getpid(), signal.SIGKILL)

def slow(main, **options):
    time.sleep(0.3)
    return main
"""


@pytest.fixture(scope="module")
def crew(tmp_path_factory):
    folder = tmp_path_factory.mktemp("helper")
    (folder / "crew_helper.py").write_text(HELPER)
    sys.path.insert(0, str(folder))
    with Crew(2) as crew:
        yield crew
    sys.path.remove(str(folder))


def job(key, function="echo", *, needs=(), **options):
    call = Call(function, key, options, module="crew_helper")
    return Job(key, lambda: call, frozenset(needs))


def outcomes(crew, jobs):
    found = {}

    def finished(key, outcome):
        found[key] = outcome
        return ()

    crew.run(jobs, finished)
    return found


def test_jobs_wait_for_what_they_need(crew):
    jobs = [job("c", needs=["a", "b"]), job("b", "slow", needs=["a"]), job("a")]
    assert list(outcomes(crew, jobs)) == ["a", "b", "c"]


def test_work_is_shared_by_processes(crew):
    found = outcomes(crew, [job(str(number), "echo") for number in range(12)])
    assert [found[str(number)][0] for number in range(12)] == [str(n) for n in range(12)]


def test_finished_jobs_may_be_followed_by_others(crew):
    seen = []

    def finished(key, outcome):
        seen.append(key)
        return [job("second")] if key == "first" else []

    crew.run([job("first")], finished)
    assert seen == ["first", "second"]


def test_a_job_with_nothing_to_do_counts_as_done(crew):
    jobs = [Job("idle", lambda: None), job("next", needs=["idle"])]
    assert list(outcomes(crew, jobs)) == ["next"]


def test_errors_come_home_whole_and_the_rest_goes_on(crew):
    found = outcomes(crew, [job("dark", "no_target"), job("odd", "crash"), job("good")])
    assert isinstance(found["dark"], NoTargetError)
    assert (found["dark"].remedy, found["dark"].field) == ("Place one.", "row")
    assert isinstance(found["odd"], BlockCrashError)
    assert "KeyError" in str(found["odd"])
    assert "crew_helper.py" in str(found["odd"])
    assert found["good"][0] == "good"


def test_a_failed_need_does_not_hold_up_what_waits(crew):
    found = outcomes(crew, [job("dark", "no_target"), job("next", needs=["dark"])])
    assert found["next"][0] == "next"


def test_a_worker_killed_once_is_replaced_and_its_job_run_again(crew, tmp_path):
    jobs = [
        job("victim", "die_once", marker=str(tmp_path / "died")),
        *(job(str(number), "slow") for number in range(4)),
    ]
    found = outcomes(crew, jobs)
    assert found == {"victim": "victim", **{str(number): str(number) for number in range(4)}}


def test_a_job_that_kills_its_worker_twice_is_given_up_alone(crew):
    jobs = [job("killer", "die"), *(job(str(number), "slow") for number in range(4))]
    found = outcomes(crew, jobs)
    assert isinstance(found.pop("killer"), WorkerKilledError)
    assert not any(isinstance(outcome, GoodmanError) for outcome in found.values())
    assert len(found) == 4
    assert outcomes(crew, [job("after")])["after"][0] == "after"


def test_jobs_that_wait_for_each_other_are_a_fault(crew):
    with pytest.raises(RuntimeError, match=r"wait for each other: \['a', 'b'\]"):
        outcomes(crew, [job("a", needs=["b"]), job("b", needs=["a"])])
