"""What `harness run` was asked for: which trials, from which data, and whether they could start at all."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness import data
from harness.data import Dataset
from harness.store import Store
from harness.suite import Suite, Trial
from harness.training.probe import unused_parameters


@dataclass(frozen=True)
class Request:
    """What `harness run` was asked for."""

    suites: Sequence[Suite]
    only: Sequence[str] = ()
    seeds: Sequence[int] = ()
    results: Path = Path("results")
    data_dir: Path | None = None
    device: str | None = None
    placement: Literal["auto", "ddp", "spread"] = "auto"
    timeout_seconds: float = 600.0
    retry_diverged: bool = False
    save_model: bool = False

    @property
    def store(self) -> Store:
        """Return where the records are."""
        return Store(self.results)

    def trials(self) -> list[Trial]:
        """List the trials that were asked for, done or not."""
        return [
            trial
            for suite in self.suites
            for trial in suite.trials()
            if (not self.only or trial.experiment in self.only)
            and (not self.seeds or trial.seed in self.seeds)
        ]

    def remaining(self) -> list[Trial]:
        """List those of them that are to be trained; an unreadable record may be a done one."""
        skipped = {"done", "unreadable"} | (set() if self.retry_diverged else {"diverged"})
        return [trial for trial in self.trials() if self.store.find(trial).state not in skipped]


def check(request: Request, env: Mapping[str, str]) -> None:
    """Fetch the data and build and probe every model; raise HarnessError where a trial could not start."""
    probed: set[str] = set()
    for trial in request.remaining():
        settings = trial.settings
        key = json.dumps([settings.model, settings.dataset.model_dump()], sort_keys=True)
        if key not in probed:
            probed.add(key)
            dataset = load_data(request, trial, env)
            unused_parameters(settings, dataset.image_shape, dataset.num_classes)


def load_data(request: Request, trial: Trial, env: Mapping[str, str]) -> Dataset:
    """Load the trial's dataset, fetched and resized where that was not done before."""
    name, resize = trial.settings.dataset.name, trial.settings.dataset.resize
    return data.load(name, resize, request.data_dir, env, say=lambda text: print(text, file=sys.stderr))  # noqa: T201
