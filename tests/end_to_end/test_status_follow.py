"""`harness status --follow` as users start it: beside runs, before them, interrupted, unread."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.config.loader import load_suite
from harness.results.lease import read
from harness.results.lease_progress import LeaseProgress
from harness.results.store import Store
from tests.support import fault_models
from tests.support.gated_runs import GATED, wait_until
from tests.support.records import SUITE as SMALL
from tests.support.records import diverged_of, record_of
from tests.support.runs import run, start, wait_for


@pytest.fixture(autouse=True)
def _suite(folder: Path) -> None:
    (folder / "suite.yaml").write_text(SMALL, encoding="utf-8")


def save(count: int) -> Store:
    """Leave a suite with so many records of trials that are done."""
    store, suite = Store(Path("results")), load_suite(Path("suite.yaml"))
    store.save_suite(suite)
    for trial in list(suite.trials())[:count]:
        store.save(trial, record_of(trial))
    return store


def test_it_leaves_with_the_codes_of_status() -> None:
    store = save(5)
    last = list(load_suite(Path("suite.yaml")).trials())[-1]
    store.save(last, diverged_of(last))
    said = "small: 5 of 6 done, 1 diverged\n"
    assert run("status", "--follow", code=1) == said
    store.save(last, record_of(last))
    said = "small: 6 of 6 done\n"
    for names in ([], ["small"], ["suite.yaml"]):
        assert run("status", "--follow", *names) == said
    Path("none").mkdir()
    assert run("status", "--follow", "--results", "none") == "no results yet\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--results", "none"], "none: there is no such folder of results; run a suite first"),
        (["small", "--results", "none"], "none: there is no such folder of results; run a suite first"),
        (["smal"], "results/smal/suite.json: no such results; there are: small"),
        (["none.yaml"], "none.yaml"),
        (["--set", "training.epochs=3"], "--set: expected the file of a suite beside it"),
    ],
)
def test_what_cannot_be_followed_is_told_at_once(arguments: list[str], message: str) -> None:
    save(0)
    output = run("status", "--follow", *arguments, code=2)
    assert output.startswith("error: ")
    assert message in output


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_quietly(number: signal.Signals, code: int) -> None:
    process = start("status", "suite.yaml", "--follow")
    wait_for(process, "waiting for small")  # before there are any results
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert (process.returncode, output.strip()) == (code, "")


def test_it_ends_where_nobody_can_read_any_more() -> None:
    save(0)
    command = [sys.executable, "-m", "harness", "status", "--follow"]
    ours, theirs = os.pipe()
    os.close(ours)
    with os.fdopen(theirs, "w") as out:
        done = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_run_is_followed_from_before_it_starts_to_its_end() -> None:
    """It is killed in its second epoch; another goes on from there, and waits in the third for a while."""
    Path("suite.yaml").write_text(GATED, encoding="utf-8")
    (trial,) = load_suite(Path("suite.yaml")).trials()
    path = Store(Path("results")).lease_path(trial, 1)
    follower = start("status", "suite.yaml", "--follow")
    wait_for(follower, "waiting for small")
    arguments = ["suite.yaml", "--nproc", "1", "--stale-after", "2s"]
    first = start(*arguments)
    wait_for(follower, "small/gated/seed-1: held by process ")
    wait_for(follower, "small/gated/seed-1: epoch 1/3  train loss ")
    wait_until(fault_models.REACHED.exists, first)
    first.kill()
    wait_for(follower, "small/gated/seed-1: no heartbeat for ")
    first.communicate(timeout=60)
    second = start(*arguments)
    wait_for(follower, "small/gated/seed-1: taken over by process ")
    wait_for(follower, "small/gated/seed-1: epoch 2/3  train loss ")

    def lease_progress() -> LeaseProgress | None:
        return read(max(path.parent.glob("*.claim-*")).read_bytes())[1]

    wait_until(lambda: (found := lease_progress()) and found.fraction > 2 / 3, second)  # of the whole trial
    fault_models.OPEN.touch()
    output, _ = second.communicate(timeout=200)
    assert second.returncode == 0, output
    said, _ = follower.communicate(timeout=60)
    assert follower.returncode == 0
    seen = said.removeprefix("small: 0 of 1 done, 1 running\n")  # of the look that also saw the second epoch
    assert re.fullmatch(
        r"(small/gated/seed-1: epoch 3/3 .*\n)?small/gated/seed-1: done, test [\d.]+ %\nsmall: 1 of 1 done\n",
        seen,
    )
