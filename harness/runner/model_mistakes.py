"""Check of all models of a run before it starts: the mistakes of all experiments at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from harness.config.places import places_of
from harness.config.suite import Suite, Trial
from harness.config.yaml_reader import KeyPath
from harness.data import Dataset
from harness.errors import ModelError
from harness.training.model_check import check_model

_MOST_NAMED = 8


def check_models(
    suites: Sequence[Suite], trials: Iterable[Trial], data_of: Callable[[Trial], Dataset]
) -> list[str]:
    """Check the model of each experiment once; return those whose seeds all begin with the same weights.

    Raise ModelError with a line for each different mistake, which names the experiments and their lines in
    the suite's files.
    """
    alike: list[str] = []
    experiments = {(trial.folder, trial.experiment): trial for trial in trials}
    mistakes: dict[tuple[str, KeyPath], list[tuple[str, str]]] = {}
    for (folder, name), trial in experiments.items():
        try:
            if check_model(trial.settings, data_of(trial)).has_fixed_weights:
                alike.append(f"{folder}/{name}")
        except ModelError as error:
            mistakes.setdefault((str(error), error.path), []).append((folder, name))
    if mistakes:
        lines = []
        for (text, path), found in mistakes.items():
            places = {
                (suite.folder, name): place
                for suite in suites
                for name, place in places_of(suite, path).items()
            }
            named = [f"{name}, {places.get((folder, name), f'suite {folder}')}" for folder, name in found]
            lines.append(f"{text} ({_listed(named)})")
        raise ModelError("\n".join(lines))
    return alike


def _listed(experiments: Sequence[str]) -> str:
    kind = "experiment" if len(experiments) == 1 else "experiments"
    more = len(experiments) - _MOST_NAMED
    return f"{kind} {'; '.join(experiments[:_MOST_NAMED])}{f'; and {more} more' if more > 0 else ''}"
