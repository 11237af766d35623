"""A resolved suite: its experiments' settings, its trials and their digests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from harness import numerics
from harness.config.any_dataset import AnyDataset
from harness.config.published import Published, PublishedCurve
from harness.config.settings import Settings, Training
from harness.data.kinds import without_paths
from harness.strict import Strict, added_later

# In records, but left out of the digest at this value; later settings are in neither (strict.added_later).
_ADDED_LATER: dict[tuple[str, str], Any] = {("training", "allow_rank_dependent"): False}

SuiteName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
EXPERIMENT_NAME = r"^[A-Za-z0-9][A-Za-z0-9._=,+-]{0,99}$"
ExperimentName = Annotated[str, Field(pattern=EXPERIMENT_NAME)]


def _count_or_list(value: Any) -> Any:
    if isinstance(value, list):
        if len(set(map(str, value))) < len(value):
            raise ValueError(f"{value!r}, expected each seed once")
        return value
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 1000:
        raise ValueError(f"{value!r}, expected a count from 1 to 1000, a list or {{half_width_points: …}}")
    return list(range(1, value + 1))


Seeds = Annotated[
    list[Annotated[int, Field(ge=0, lt=2**32)]],
    Field(min_length=1),
    BeforeValidator(_count_or_list, json_schema_input_type=int | list[int]),
]


class SeedRule(Strict):
    """Rule for the number of seeds: the spread of the first ones decides it (Stein's two-stage procedure)."""

    half_width_points: Annotated[float, Field(ge=0.001, lt=100)] = Field(
        description="Wanted half-width of the 95 % confidence interval of the mean test accuracy, in "
        "percentage points."
    )
    at_least: Annotated[int, Field(ge=2, le=1000)] = Field(
        default=5, description="Number of seeds trained first, whose spread decides how many are needed."
    )
    at_most: Annotated[int, Field(ge=2, le=1000)] = Field(
        default=50, description="Largest number of seeds, even where the rule needs more."
    )

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        if self.at_least > self.at_most:
            raise ValueError(f"at_least {self.at_least}, expected at most {self.at_most} as `at_most`")
        return self


class Choose(Strict):
    """How one of the suite's experiments is chosen."""

    by: Literal["validation_accuracy", "validation_loss", "test_accuracy"] = Field(
        description="Figure whose mean over the seeds is the best in the chosen experiment; if it is one of "
        "validation, the table shows the test set's figures for that experiment alone.",
        examples=["validation_accuracy"],
    )


class TableSettings(Strict):
    """Layout of a suite's table and report."""

    style: Literal["experiments", "runs"] = Field(
        default="experiments",
        description="Rows of the table: one per experiment, or one per run (seed) and one for their mean.",
    )
    figures: bool = Field(default=True, description="Whether the report draws figures.")


class ExperimentSettings(Strict):
    """Settings that one experiment's trials share, besides the suite's dataset."""

    model: dict[str, Any] = Field(description="Model to train, a shipped one or your own.")
    training: Training = Field(description="Training settings.")


@dataclass(frozen=True)
class Trial:
    """One experiment with one seed: the unit that is trained, recorded and retried.

    `data_digest` is that of the data it is trained on, empty if that is not known yet.
    """

    folder: str
    experiment: str
    seed: int
    settings: Settings
    data_digest: str = ""

    @cached_property
    def digest(self) -> str:
        """Hash the settings, the seed and the numerics version that holds for them, and nothing else."""
        return digest_of({**self.settings.model_dump(), "seed": self.seed})

    @cached_property
    def numerics(self) -> int:
        """Return the numerics version that holds for its settings."""
        return numerics.version_of(self.settings.model_dump())

    @property
    def earlier(self) -> dict[int, str]:
        """Return the digests that it had under earlier numerics versions."""
        if not numerics.CHANGES:
            return {}
        settings = self.settings.model_dump()
        versions = numerics.versions_of(settings)[:-1]
        return {each: digest_of({**settings, "seed": self.seed}, each) for each in versions}

    @property
    def key(self) -> str:
        """Return the trial's name within a run."""
        return f"{self.folder}/{self.experiment}/seed-{self.seed}"

    @property
    def name(self) -> str:
        """Return the trial's name within its suite, for people."""
        return f"{self.experiment} seed {self.seed}"


class SuiteSource(Strict):
    """File that a suite was read from, None for standard input or a pipe, and the SHA-256 of its bytes.

    If it extends other files, the hash covers the bytes of all of them, its own first.
    """

    path: str | None
    digest: str


class Suite(Strict):
    """A resolved suite, the experiments of one table; `changed` is what `--set` changed.

    Under a `seed_rule`, `seeds` are all the seeds that the rule may require. `curves` are published curves.
    `source` (its file) and `data_digest` (the data of its last run) are not part of its content. `found_in`
    is the folder of its results, if that has another name.
    """

    suite: SuiteName
    title: str
    dataset: AnyDataset
    seeds: Seeds
    experiments: Annotated[dict[ExperimentName, ExperimentSettings], Field(min_length=1)]
    seed_rule: SeedRule | None = None
    published: Published | None = None
    curves: dict[ExperimentName, list[PublishedCurve]] = Field(default_factory=dict)
    table: TableSettings = TableSettings()
    choose: Choose | None = added_later(None)
    changed: dict[str, Any] = Field(default_factory=dict)
    data_digest: str = ""
    source: SuiteSource | None = None
    found_in: str = Field(default="", exclude=True)

    @property
    def folder(self) -> str:
        """Return the name of its results folder; a suite with changed settings has its own."""
        if self.found_in:
            return self.found_in
        return f"{self.suite}@{_sha256(self.changed)[:8]}" if self.changed else self.suite

    @property
    def content(self) -> str:
        """Return the hash of its content, without its source."""
        return _sha256(self.model_dump(exclude={"source", "data_digest"}))

    def trials(self) -> Iterator[Trial]:
        """Yield every trial, experiment by experiment."""
        for name, own in self.experiments.items():
            settings = Settings(dataset=self.dataset, model=own.model, training=own.training)
            for seed in self.seeds:
                yield Trial(self.folder, name, seed, settings, self.data_digest)


def chosen(suites: Iterable[Suite], only: Collection[str] = (), seeds: Collection[int] = ()) -> list[Trial]:
    """List the suites' trials, only those of the given experiments and seeds if there are any."""
    return [
        trial
        for suite in suites
        for trial in suite.trials()
        if (not only or trial.experiment in only) and (not seeds or trial.seed in seeds)
    ]


def digest_of(settings: dict[str, Any], version: int | None = None) -> str:
    """Return the SHA-256 of resolved settings as JSON with sorted keys; by default with today's numerics."""
    if version is None:
        version = numerics.version_of(settings)
    fields = {key: settings[key] for key in ("dataset", "model", "seed", "training")}
    fields["dataset"] = without_paths(fields["dataset"])
    for (section, key), default in _ADDED_LATER.items():
        if fields[section].get(key) == default:
            fields[section] = {name: value for name, value in fields[section].items() if name != key}
    return _sha256({**fields, "numerics": version} if version > 1 else fields)


def _sha256(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
