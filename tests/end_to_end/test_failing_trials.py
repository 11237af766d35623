"""Trials that go wrong within a run: what is recorded of them, and that the other trials are trained."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.config.loader import load_suite
from harness.results.atomic_files import write_whole
from harness.results.record import Record
from harness.results.store import Store
from tests.support import fault_models, forks
from tests.support.gated_runs import GATED
from tests.support.runs import HARNESS, ONE_TRIAL, SUITE, assert_equal, figures, records, run

MEASURED = "small/raises_on_rank_one/seed-1"

pytestmark = pytest.mark.usefixtures("small_suite")


def test_what_cannot_be_measured_is_trained_by_the_rule() -> None:
    failing_suite("raises_on_rank_one")
    command = [*HARNESS, "suite.yaml", "--nproc", "2", "--only", "raises_on_rank_one"]
    code, output = forks.finished(command, seconds=300)
    assert output.count(f"nothing is measured: {MEASURED}: ArithmeticError: a made-up failure in rank 1") == 1
    assert "placement: spread, because 1 trial is fewer than 2 ranks, and ddp is estimated to" in output
    (record,) = records().values()  # of whichever rank was the first to take it
    assert code == (record.status == "failed"), output
    assert record.hardware.world_size == 1


@pytest.mark.parametrize("placement", ["ddp", "spread"])
def test_a_trial_that_kills_its_workers_is_set_aside(placement: str) -> None:
    failing_suite("kills")
    output = run("suite.yaml", "--nproc", "2", "--placement", placement, code=1)
    assert "small/kills/seed-1: set aside as failed, 3 workers were ended while they trained it" in output
    found = records()
    assert {name: record.status for name, record in found.items()} == {
        "kills 1": "failed",
        "mixer 1": "done",
        "mlp 1": "done",
    }
    assert [attempt.status for attempt in found["kills 1"].attempts] == ["killed"] * 3 + ["failed"]


def failing_suite(*names: str) -> None:
    """Write a suite whose first experiments are models of ours that go wrong."""
    bad = "".join(f"  {name}: {{model: {{name: 'tests.support.own_models:{name}'}}}}\n" for name in names)
    text = SUITE.replace("seeds: 2", "seeds: 1").replace("experiments:\n", f"experiments:\n{bad}")
    Path("suite.yaml").write_text(text, encoding="utf-8")


def test_a_trial_that_fails_on_one_rank_is_recorded_and_the_others_go_on() -> None:
    failing_suite("wanders", "exits_on_rank_one")
    output = run("suite.yaml", "--nproc", "2", "--placement", "ddp", code=1)
    assert "small/wanders/seed-1: failed, ArithmeticError: a made-up failure in rank 1" in output
    assert "small/exits_on_rank_one/seed-1: failed, SystemExit: a made-up failure in rank 1" in output
    found = records()
    assert [each.status for each in found["exits_on_rank_one 1"].attempts] == ["failed"]
    assert {name: record.status for name, record in found.items()} == {
        "exits_on_rank_one 1": "failed",
        "mixer 1": "done",
        "mlp 1": "done",
        "wanders 1": "failed",
    }
    failed = found["wanders 1"]
    assert "Traceback" in failed.attempts[0].error
    assert failed.hardware.world_size == 2
    assert "failed: seed 1" in (Path("results") / "small" / "table.md").read_text(encoding="utf-8")
    assert output.count("small/mlp/seed-1: done") == 1
    run("suite.yaml", "--nproc", "1")  # rank 1 is not there now: the retry succeeds
    retried = records()["wanders 1"]
    assert retried.status == "done"
    assert [attempt.status for attempt in retried.attempts] == ["failed"]


FAILURES = {
    "raises": "ArithmeticError: a made-up failure",
    "exits": "SystemExit: a made-up failure",
    "breaks_backward": "tests.support.own_models._OddError: a made-up end",
    "not_built": "harness.errors.ModelError: model 'tests.support.own_models:not_built': OSError: no such",
}


def test_a_trial_that_fails_under_spread_takes_no_other_with_it() -> None:
    failing_suite(*FAILURES)
    output = run("suite.yaml", "--nproc", "2", "--placement", "spread", code=1)
    found = records()
    assert {name: found.pop(f"{name} 1").status for name in ("mixer", "mlp")} == dict.fromkeys(
        ("mixer", "mlp"), "done"
    )
    for name, last_line in FAILURES.items():
        record = found[f"{name} 1"]
        assert [attempt.status for attempt in record.attempts] == ["failed"]
        assert _last_line(record).startswith(last_line)
        assert record.attempts[0].error.startswith("Traceback")
        assert output.count(f"small/{name}/seed-1: failed, {last_line}") == 1
    assert output.count("placement: ") == 1  # no rank was started again


def one_experiment(name: str) -> None:
    """Write a suite of a model of ours that has its difficulties, with four seeds."""
    text = ONE_TRIAL.replace(
        "{name: patch_mixer, patch_size: 4, width: 12, hidden: [8]}", f"{{name: '{name}'}}"
    )
    Path("suite.yaml").write_text(text.replace("seeds: 1", "seeds: 4"), encoding="utf-8")


def test_trials_that_lack_memory_side_by_side_are_trained_by_fewer_at_once() -> None:
    one_experiment("tests.support.fault_models:crowded")
    output = run("suite.yaml", "--nproc", "1", "--placement", "spread", "--trials-per-device", "4")
    said = "out of memory with 3 trials at once: it is trained later, with 2 at most"
    assert output.count(said) == 2  # of the third trial, and of the fourth, which had been taken already
    assert [(each.status, each.attempts) for each in records().values()] == [("done", [])] * 4
    assert {each.hardware.trials_per_device for each in records().values()} == {4, 2}


def processes() -> list[tuple[str, int]]:
    """Return how each trial of a rank was to be executed, and in which process since torchrun's start."""
    lines = [line.split() for line in Path("processes").read_text(encoding="utf-8").splitlines()]
    return [(engine, int(generation)) for engine, generation in lines]


def test_after_a_capture_that_broke_the_next_trial_has_a_process_of_its_own() -> None:
    one_experiment("tests.support.fault_models:unrecordable")
    output = run("suite.yaml", "--nproc", "1", "--no-calibrate")
    said = "engine: eager, because this trial cannot be captured: a made-up break"
    assert output.count(said) == 1
    assert [(each.status, each.hardware.engine) for each in records().values()] == [("done", "eager")] * 4
    assert processes() == [("None", 0), ("eager", 1), ("eager", 1), ("eager", 1)], output


def test_ranks_go_on_eagerly_together_where_one_cannot_capture() -> None:
    one_experiment("tests.support.fault_models:unrecordable")
    output = run("suite.yaml", "--nproc", "2", "--placement", "ddp")
    assert output.count("engine: eager, because this trial cannot be captured: another rank cannot") == 1
    assert [(each.status, each.hardware.engine) for each in records().values()] == [("done", "eager")] * 4
    assert sorted(processes()) == [("None", 0)] * 2 + [("eager", 1)] * 8
    together = figures()
    run("suite.yaml", "--nproc", "1", "--engine", "eager", "--results", "alone")
    assert_equal(together, figures("alone"))


def test_a_diverged_trial_is_recorded_and_tried_again_only_when_asked() -> None:
    change = ["--set", "training.optimizer={name: SGD, lr: 1.0e+200}", "--only", "mixer", "--seeds", "1"]
    output = run("suite.yaml", *change, code=1)
    assert "diverged: seed 1" in output
    (record,) = records().values()
    assert (record.status, len(record.epochs), len(record.attempts)) == ("diverged", 1, 1)
    assert ": epoch " not in run("suite.yaml", *change, code=1)
    assert ": epoch 1/2" in run("suite.yaml", *change, "--retry-diverged", code=1)
    (record,) = records().values()
    assert len(record.attempts) == 2


def test_an_unreadable_record_is_named_and_never_replaced() -> None:
    trial = next(load_suite(Path("suite.yaml")).trials())
    path = Store(Path("results")).record_path(trial)
    write_whole(path, b'{"status": "done", "cut')
    output = run("suite.yaml", "--seeds", "1", "--results", "results", code=1)
    assert f"{path}: unreadable record" in output
    assert "unreadable: seed 1" in output
    assert path.read_bytes() == b'{"status": "done", "cut'
    for command in ("status", "report"):
        assert f"{path}: unreadable record" in run(command, code=1)


def test_a_trial_that_lacks_memory_takes_no_other_with_it() -> None:
    fault_models.OPEN.touch()
    names = ("out_of_memory", "limited_memory")
    lines = "".join(f"  {name}: {{model: {{name: 'tests.support.fault_models:{name}'}}}}\n" for name in names)
    Path("suite.yaml").write_text(GATED.replace("experiments:\n", f"experiments:\n{lines}"), encoding="utf-8")
    output = run("suite.yaml", "--nproc", "1", code=1)
    found = records()
    assert {name: record.status for name, record in found.items()} == {
        "gated 1": "done",
        "limited_memory 1": "failed",
        "out_of_memory 1": "failed",
    }
    assert _last_line(found["out_of_memory 1"]) == "torch.OutOfMemoryError: a made-up lack of memory"
    assert _last_line(found["limited_memory 1"]) == "MemoryError"
    assert output.count("placement: ") == 1
    assert "small/limited_memory/seed-1: failed, MemoryError" in output
    assert output.index("failed, MemoryError") < output.index("small/gated/seed-1: done")


def _last_line(record: Record) -> str:
    (attempt,) = record.attempts
    return attempt.error.strip().splitlines()[-1]
