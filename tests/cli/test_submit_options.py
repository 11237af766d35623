"""The options of `submit`: a user's defaults, a suggested time limit, and the options of `run`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from harness.cli.main import app
from harness.cli.submit_options import written
from harness.config.loader import load_suite
from harness.results.estimates import PlannedTrial
from harness.runner.launch import slurm, slurm_options, slurm_time_limit
from harness.runner.launch.slurm_options import SlurmOptions
from tests.support.fake_slurm import calls, defaults

pytestmark = pytest.mark.usefixtures("folder_with_sbatch")


def test_defaults_are_the_users_own_and_options_win(harness: Callable[..., str]) -> None:
    path = defaults(
        "slurm:\n  partition: gpu\n  account: 123\n  gpus_per_node: 4\n  time: '2:00:00'\n"
        "  setup: site.sh\n  sbatch_arg: [--exclusive]\n"
    )
    (path.parent / "site.sh").touch()
    harness("submit", "suite.yaml", "--partition", "other", "--gpus-per-node", "0", "--sbatch-arg=--nice")
    (first, env), _ = calls()
    placed = ["--partition=other", "--account=123", "--nodes=1", "--time=2:00:00", "--exclusive", "--nice"]
    assert [each for each in first if each in placed or "gpus" in each] == placed
    assert env["HARNESS_SETUP"] == str(path.parent / "site.sh")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "slurm: {gpus-per-node: 4}",
            ":1: slurm.gpus-per-node: unknown key 'gpus-per-node'; did you mean 'gpus_per_node'?",
        ),
        ("partition: gpu", ":1: partition: unknown key 'partition'; known: slurm"),
        ("slurm:\n  nodes: two", ":2: slurm.nodes: found 'two', expected a whole number"),
        (
            "slurm:\n  nodes: 10000000000",
            ":2: slurm.nodes: found 10000000000, expected less than or equal to",
        ),
        ("slurm: {gpus_per_node: -1}", "found -1, expected greater than or equal to 0"),
        ("slurm: {nproc: .inf}", "slurm.nproc: found .inf, expected a finite number"),
        ("slurm: {time: -5}", "slurm.time: found '-5', expected minutes, such as 90, or H:MM:SS"),
        ("slurm: {mem: much}", "slurm.mem: found 'much', expected a size such as 32G"),
        ("slurm:\n  time: 1:30:00", "which YAML 1.1 reads in base 60; write '1:30:00'"),
        ("- gpu", ":1: found ['gpu'], expected the key `slurm:` and options under it"),
        ("slurm: [", "not YAML"),
    ],
)
def test_a_mistake_in_the_defaults_is_told(harness: Callable[..., str], text: str, said: str) -> None:
    path = defaults(text)
    told = harness("submit", "suite.yaml", "--dry-run", code=2)
    assert said in told
    assert str(path) in told


def test_defaults_stand_where_configurations_do() -> None:
    assert slurm_options.defaults_path({}) == Path.home() / ".config" / "harness" / "slurm.yaml"
    assert slurm_options.defaults_path({"XDG_CONFIG_HOME": "/x"}) == Path("/x/harness/slurm.yaml")
    assert slurm_options.options({}, {"XDG_CONFIG_HOME": "/nowhere"}) == SlurmOptions()


def test_a_time_limit_is_suggested_from_estimates() -> None:
    trial = next(load_suite(Path("suite.yaml")).trials())

    def suggested(*seconds: float | None, **options: Any) -> tuple[str | None, str | None]:
        planned = [PlannedTrial(trial, "left", each) for each in seconds]
        found, said = slurm_time_limit.with_time(SlurmOptions(**options), planned, 3)
        return found.time, said

    said = "--time 25, in minutes: estimates are 3 h 00 min on one rank, for 24 in all"
    assert suggested(3600.0, 7200.0, nodes=2, gpus_per_node=4) == ("25", said)
    assert suggested(3600.0, 7201.0, nodes=2, gpus_per_node=4)[0] == "30"
    assert suggested(60.0, nodes=2, nproc=4, gpus_per_node=1)[0] == "15"
    assert suggested(60.0, time="9") == ("9", None)
    unknown = "--time is left out: no timing is known yet"
    assert suggested(60.0, None) == (None, unknown)


def test_every_option_of_run_can_be_submitted_and_arrives(harness: Callable[..., str]) -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    run, submit = ({each.name: each for each in commands[name].params} for name in ("run", "submit"))
    torchruns = {"nproc", "max_restarts"}
    assert run.keys() - torchruns <= submit.keys()
    options = ["--only", "mlp", "--only", "mixer", "--seeds", "1,2", "--set", "training.epochs=3"]
    options += ["--device", "cpu", "--placement", "ddp", "--engine", "eager", "--no-calibrate"]
    options += ["--timeout", "5", "--retry-diverged", "--trials-per-device", "2"]
    options += ["--log", "tensorboard", "--log", "own.tracker:opens"]
    harness("submit", "suite.yaml", *options)
    (first, _), _ = calls()
    arguments = first[first.index(str(slurm.SCRIPT)) + 2 :]
    before = commands["run"].make_context("run", ["suite.yaml", *options]).params
    after = commands["run"].make_context("run", list(arguments)).params
    (frozen,) = after.pop("suites")
    assert load_suite(Path(frozen)).changed == {"training.epochs": 3}
    assert after.pop("changes") in (None, [], ())  # they are in the frozen suite
    assert Path(after.pop("results")) == Path("results").absolute()
    assert {str(value) for value in before.items()} >= {str(value) for value in after.items()}


def test_what_is_at_its_default_is_not_written() -> None:
    parameters = typer.main.get_command(app).commands["run"].params  # type: ignore[attr-defined]
    assert written(parameters, {"suites": [Path("/a")], "results": Path("/r"), "calibrate": True}) == [
        "--results=/r",
        "/a",
    ]
