"""The parts of "Peers, side by side" that train nothing: statistics, table, layout, settings."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from benchmarks.benchmark import experiment_of
from benchmarks.comparison import NOTES, Comparison
from benchmarks.contestant import Run, in_rounds
from benchmarks.experiment import Experiment
from benchmarks.layout import lay_out
from benchmarks.welch import equivalence
from harness.config.settings import Settings
from harness.data.official_files import FILES
from harness.data.official_sources import SOURCES, locate

# Two rounds of two trials each; a trial trains on 3,000 images.
ROUNDS = [
    [
        Run("harness", 10.0, [0.850, 0.852], [4.0, 4.0], "spread, eager, world size 1, threads 1"),
        Run("Near", 20.0, [0.851, 0.852], [8.0, 8.0]),
        Run("Far", 5.0, [0.80, 0.84], [2.0, 2.0]),
    ],
    [
        Run("Near", 30.0, [0.851, 0.850], [10.0, 12.0]),
        Run("Far", 6.0, [0.82, 0.81], [2.0, 2.0]),
        Run("harness", 12.0, [0.851, 0.851], [5.0, 6.0], "spread, eager, world size 1, threads 1"),
    ],
]
EXPECTED = (
    "# A comparison\n"
    "\n"
    "- Device: A CPU\n"
    "- The harness ran: spread, eager, world size 1, threads 1\n"
    "\n"
    "| Contestant | Wall, s | Images/s | Images/s, one trial's training | The harness is … times as fast "
    "| Test accuracy | Accuracy as the harness's |\n"
    "| --- | --- | --- | --- | --- | --- | --- |\n"
    "| harness | 11.0 (10.0–12.0) | 550 | 675 |  | 85.10 % ± 0.08 % (4) |  |\n"
    "| Near | 25.0 (20.0–30.0) | 250 | 338 | 2.25 (2.00–2.50) | 85.10 % ± 0.08 % (4) "
    "| yes, within ± 0.5 points (90 % interval of the difference -0.11 to +0.11 points, p = 6.5e-05) |\n"
    "| Far | 5.5 (5.0–6.0) | 1,100 | 1,500 | 0.50 (0.50–0.50) | 81.75 % ± 1.71 % (4) "
    "| not counted: accuracy not equivalent (90 % interval of the difference -5.36 to -1.34 points, "
    "allowed ± 0.5 points) |\n"
    "| Absent | not installed |  |  |  |  |  |\n"
    "\n" + NOTES + "\n"
)


def comparison(rounds: list[list[Run]]) -> Comparison:
    return Comparison("A comparison", {"Device": "A CPU"}, 3000, 0.5, rounds, ["Absent"])


def test_the_table_of_made_up_runs() -> None:
    assert comparison(ROUNDS).to_markdown() == EXPECTED


def test_one_trial_shows_no_equivalence() -> None:
    runs = [Run(name, 10.0, [0.85], [4.0]) for name in ("harness", "Same")]
    text = comparison([runs]).to_markdown()
    assert "| 85.00 % (1) | not counted: accuracy not equivalent (too few trials to tell) |" in text


def test_everything_that_was_measured_is_in_the_json() -> None:
    found = json.loads(comparison(ROUNDS).to_json())
    assert [[Run(**run) for run in runs] for runs in found["rounds"]] == ROUNDS


def test_equivalence_on_known_numbers() -> None:
    # Means 0.81 and 0.82, variances 1e-4 and 4e-4: standard error 0.01291, by Welch 2.941 degrees of freedom.
    found = equivalence([0.80, 0.81, 0.82], [0.80, 0.82, 0.84], 0.05)
    assert (found.low, found.high) == pytest.approx((-0.040631, 0.020631), abs=1e-6)
    assert found.p == pytest.approx(0.027393, abs=1e-6)
    assert found.is_shown
    assert not equivalence([0.80, 0.81, 0.82], [0.80, 0.82, 0.84], 0.04).is_shown


@pytest.mark.parametrize("margin", [0.005, 0.01, 0.02, 0.04])
def test_equivalence_is_the_interval_within_the_margin(margin: float) -> None:
    found = equivalence([0.81, 0.82, 0.80, 0.83], [0.81, 0.82, 0.825], margin)
    assert found.is_shown == (-margin < found.low and found.high < margin)


@pytest.mark.parametrize(("one", "other"), [([0.8], [0.8, 0.9]), ([0.8, 0.9], [0.8]), ([0.8] * 3, [0.8] * 3)])
def test_without_a_spread_nothing_is_shown(one: list[float], other: list[float]) -> None:
    found = equivalence(one, other, 0.5)
    assert math.isnan(found.p)
    assert not found.is_shown


def test_torchvision_reads_the_sample_where_it_is_laid_out(tmp_path: Path) -> None:
    from torchvision.datasets import KMNIST  # type: ignore[import-untyped]

    source = SOURCES["kmnist_sample"]
    folder = locate(source, [])
    assert folder is not None
    assert lay_out(source, folder, tmp_path) == "KMNIST"
    names = {path.name for path in (tmp_path / "KMNIST" / "raw").iterdir()}
    assert names == {file.removesuffix(".gz") for file in FILES}
    sizes = [len(KMNIST(str(tmp_path), train=train)) for train in (True, False)]
    assert sizes == [8000, 2000]


def test_a_peer_reads_the_settings_that_the_harness_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings.model_validate(
        {
            "dataset": {"name": "kmnist_sample", "resize": 16},
            "model": {"name": "mlp", "hidden": [8], "dropout": 0.1},
            "training": {
                "epochs": 2,
                "batch_size": 12,
                "optimizer": {"name": "SGD", "lr": 0.5, "weight_decay": 0.25},
                "scheduler": {"name": "StepLR", "step_size": 3, "gamma": 0.7},
            },
        }
    )
    experiment = experiment_of(settings, "KMNIST", tmp_path)
    experiment.write(tmp_path / "experiment.json")
    monkeypatch.setattr("sys.argv", ["peer", str(tmp_path / "experiment.json"), str(tmp_path / "output")])
    assert Experiment.from_argv() == (experiment, tmp_path / "output")
    assert 12 % experiment.world_size == 0
    optimizer = experiment.make_optimizer(experiment.network().parameters())
    group = optimizer.param_groups[0]
    assert (type(optimizer).__name__, group["lr"], group["weight_decay"]) == ("SGD", 0.5, 0.25)
    scheduler = experiment.make_scheduler(optimizer)
    assert (type(scheduler).__name__, scheduler.state_dict()["step_size"]) == ("StepLR", 3)


def test_every_round_has_seeds_of_its_own_and_another_first() -> None:
    calls: list[tuple[str, int, list[int]]] = []

    def run(contestant: str, number: int, seeds: list[int]) -> Run:
        calls.append((contestant, number, seeds))
        return Run(contestant, 1.0, [], [])

    rounds = in_rounds(["a", "b"], 3, 2, run)
    assert ["".join(done.contestant for done in each) for each in rounds] == ["ab", "ba", "ab"]
    assert calls[:3] == [("a", 0, [1, 2]), ("b", 0, [1, 2]), ("a", 1, [1, 2])]
    assert calls[-1] == ("b", 3, [5, 6])
