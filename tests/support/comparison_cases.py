"""Made-up results for `harness compare`, one function a case, and the rows of the table it prints."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.config.suite import Trial
from harness.results.record import Record
from harness.results.store import Store
from tests.support.filled_stores import ONE
from tests.support.records import SUITE, diverged_of, failed_of, record_of, suite_of, with_code

FIVE = ONE.replace("seeds: 3", "seeds: 5")
ACCURACIES = [0.80, 0.82, 0.84, 0.86, 0.88]
SLIGHTLY_WORSE = [0.7901, 0.8098, 0.8302, 0.8499, 0.8697]

Fill = Callable[[Trial], Record | None]
Harness = Callable[..., tuple[int, str, str]]


def done(trial: Trial, accuracy: float, loss: float = 1.5, speed: float = 1000.0, **changes: Any) -> Record:
    """Return a done record whose figures differ from each other, and by seed."""
    number = trial.seed % 100
    first, last = record_of(trial, accuracy).epochs
    figures = {
        "test_loss": loss + 0.01 * number,
        "train_accuracy": accuracy + 0.02 + 0.001 * number**2,
        "train_loss": loss / 2 - 0.02 * number * accuracy,
    }
    speeds = {"samples_per_second": speed + number}
    return record_of(
        trial, accuracy, epochs=[first, last.model_copy(update=figures)], **{**speeds, **changes}
    )


def with_accuracies(values: list[float], **changes: Any) -> Fill:
    return lambda trial: done(trial, values[trial.seed % 100 - 1], **changes)


def on(trial: Trial, **hardware: Any) -> Any:
    return record_of(trial).hardware.model_copy(update=hardware)


def made(where: str, text: str, fill: Fill) -> None:
    """Leave the results of a suite under a folder, as `fill` says for each trial."""
    root = Path(where)
    root.mkdir(exist_ok=True)
    suite, store = suite_of(root, text), Store(root)
    (root / "suite.yaml").unlink()
    store.save_suite(suite)
    for trial in suite.trials():
        if (record := fill(trial)) is not None:
            store.save(trial, record)


def paired() -> list[str]:
    """Vary much from seed to seed, and little within a pair."""
    made("a", FIVE, with_accuracies(ACCURACIES))
    made("b", FIVE, with_accuracies(SLIGHTLY_WORSE, loss=1.5, speed=1100.0))
    return ["a/small/one", "b/small/one"]


def unpaired() -> list[str]:
    """Give each side seeds of its own, and B a smaller test loss with a rate of its own."""
    made("a", ONE, with_accuracies(ACCURACIES))
    text = ONE.replace("seeds: 3", "seeds: [101, 102, 103, 104]").replace("lr: 0.01", "lr: 0.02")
    made("b", text, with_accuracies([0.9, 0.91, 0.9, 0.92], loss=0.2))
    return ["a/small/one", "b/small/one"]


def few_pairs() -> list[str]:
    """Share two of five seeds: too few to leave the others out."""
    made("a", FIVE, with_accuracies(ACCURACIES))
    made("b", FIVE.replace("seeds: 5", "seeds: [4, 5, 101, 102, 103]"), with_accuracies(ACCURACIES))
    return ["a/small/one", "b/small/one"]


def one_seed() -> list[str]:
    made("a", ONE.replace("seeds: 3", "seeds: [2]"), with_accuracies(ACCURACIES))
    made("b", ONE, with_accuracies(SLIGHTLY_WORSE))
    return ["a/small/one", "b/small/one"]


def troubled() -> list[str]:
    """Leave a missing, a failed, a diverged trial and one whose speed was not measured."""

    def fill(trial: Trial) -> Record | None:
        broken = {2: failed_of(trial), 3: diverged_of(trial), 4: None}
        speed = None if trial.seed == 5 else 1000.0
        return broken.get(trial.seed, done(trial, 0.8 + trial.seed / 100, samples_per_second=speed))

    made("a", FIVE.replace("seeds: 5", "seeds: 7"), with_accuracies([*ACCURACIES, 0.9, 0.92]))
    made("b", FIVE.replace("seeds: 5", "seeds: 6"), fill)
    return ["a/small/one", "b/small/one"]


def other_hardware() -> list[str]:
    """Train on another device, with other code, and one of the trials with another torch."""

    def fill(trial: Trial) -> Record:
        record = done(trial, ACCURACIES[trial.seed - 1], speed=4000.0)
        torch = "2.15.0" if trial.seed == 3 else "2.11.0"
        record = with_code(record, "f" * 64, torch=torch)
        hardware = on(trial, devices=["A GPU", "A GPU"], world_size=2, engine="graph")
        return record.model_copy(update={"hardware": hardware})

    made("a", ONE, with_accuracies(ACCURACIES))
    made("b", ONE, fill)
    return ["a/small/one", "b/small/one"]


def same_bits() -> list[str]:
    for where in "ab":
        made(where, ONE, with_accuracies(ACCURACIES))
    return ["a/small/one", "b/small/one"]


def other_dataset() -> list[str]:
    made("a", ONE, with_accuracies(ACCURACIES))
    text = ONE.replace("{name: kmnist, resize: 32}", "{name: mnist, resize: 16}")
    made("b", text, with_accuracies(ACCURACIES, data_digest="f" * 64))
    return ["a/small", "b/small"]


def suites() -> list[str]:
    """Compare suites of other names, that share one experiment."""
    made("a", SUITE, with_accuracies(ACCURACIES))
    text = SUITE.replace("suite: small", "suite: other").replace("  two:", "  three:")
    made("a", text, with_accuracies(SLIGHTLY_WORSE))
    return ["a/small", "a/other"]


def roots() -> list[str]:
    for where, names in (("a", ("small", "large")), ("b", ("small", "new"))):
        for name in names:
            made(where, SUITE.replace("suite: small", f"suite: {name}"), with_accuracies(ACCURACIES))
    shutil.rmtree("b/small/one")
    return ["a", "b"]


def experiments() -> list[str]:
    made(
        "a", SUITE, lambda trial: done(trial, ACCURACIES[trial.seed - 1] - 0.2 * (trial.experiment == "two"))
    )
    return ["a/small/one", "a/small/two"]


def nothing_in_common() -> list[str]:
    made("a", ONE, with_accuracies(ACCURACIES))
    made("b", ONE.replace("  one:", "  three:"), with_accuracies(ACCURACIES))
    return ["a/small", "b/small"]


CASES = [
    paired,
    unpaired,
    few_pairs,
    one_seed,
    troubled,
    other_hardware,
    same_bits,
    other_dataset,
    suites,
    roots,
    experiments,
    nothing_in_common,
]


def rows_of(text: str) -> list[list[str]]:
    return [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")][2:]
