"""Record of one trial, as strict JSON: settings, epochs, hardware, versions, attempts."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer

from harness.config.suite import digest_of
from harness.plugins import is_callable_path
from harness.results.metrics import OF_EPOCH
from harness.results.record_hash import with_hash, without_hash
from harness.strict import Strict, added_later

# JSON has no NaN and no infinity: a metric that is not finite is null in the file and NaN in memory.
MetricValue = Annotated[
    float,
    Field(allow_inf_nan=True),
    BeforeValidator(lambda value: math.nan if value is None else value),
    PlainSerializer(lambda value: value if math.isfinite(value) else None),
]
Status = Literal["done", "failed", "diverged"]
Placement = Literal["ddp", "spread"]
EngineName = Literal["eager", "graph", "compiled"]


class Epoch(Strict):
    """Metrics of one epoch; accuracies are fractions, times are in seconds.

    `others` holds metrics that are in the registry beside these; earlier records lack them.
    """

    epoch: int
    lr: float
    train_loss: MetricValue
    train_accuracy: MetricValue
    test_loss: MetricValue
    test_accuracy: MetricValue
    train_seconds: float
    eval_seconds: float
    others: dict[str, MetricValue] = Field(default={}, exclude_if=lambda others: not others)

    @classmethod
    def of(cls, metrics: Mapping[str, float], **rest: float) -> Epoch:
        """Return an epoch with these metrics, by their names in OF_EPOCH."""
        own = {name: value for name, value in metrics.items() if name in cls.model_fields}
        others = {name: value for name, value in metrics.items() if name not in own}
        return cls.model_validate({**own, **rest, "others": others})

    def figure(self, name: str) -> float:
        """Return learning rate, a metric or a time; NaN where this record lacks it."""
        value: float = self.__dict__[name] if name in self.__dict__ else self.others.get(name, math.nan)
        return value

    @property
    def figures(self) -> dict[str, float]:
        """Return learning rate, metrics and times by name, without metrics that this record lacks."""
        own = {name: value for name, value in self if name not in {"epoch", "others"}}
        return own | self.others

    @property
    def metrics(self) -> dict[str, float]:
        """Return the metrics that this record has, by name."""
        return {name: value for name, value in self.figures.items() if name in OF_EPOCH}

    @property
    def reproducible(self) -> dict[str, float]:
        """Return what an interruption does not change: all but times."""
        return {"lr": self.lr, **self.metrics}


class Attempt(Strict):
    """An earlier attempt that ended without being done; `error` is a traceback or a sentence.

    `killed` means that a process training the trial was killed, and that the trial resumed from its last
    checkpoint.
    """

    started_at: str
    ended_at: str
    status: Literal["failed", "diverged", "killed"]
    error: str


class Hardware(Strict):
    """Hardware and execution of a trial; not part of any digest."""

    placement: Placement
    engine: str
    world_size: int
    threads: int
    devices: list[str]
    host: str
    trials_per_device: int = 1


class Versions(Strict):
    """Software versions of a trial.

    `harness_code` is a hash of the harness's code that trains, `user_code` one of the user's own modules or
    of `model_library`, the library that builds the model (`torchvision==0.26.0`), None without such; earlier
    records have `code`, a hash of both. `commit` is that of the harness's
    repository, `user_commit` that of the one that holds the suite; of the packaged suite it is the same.
    """

    harness: str
    python: str
    torch: str
    cuda: str | None
    commit: str | None
    code: str | None = None
    harness_code: str | None = None
    user_code: str | None = None
    user_commit: str | None = None
    numerics: int = 1
    model_library: str | None = Field(default=None, exclude_if=lambda library: library is None)


class Record(Strict):
    """Everything about one trial: its settings, its results, and what it ran on."""

    schema_version: Literal[1] = 1
    suite: str
    experiment: str
    seed: int
    digest: str
    status: Status
    settings: dict[str, Any]
    epochs: list[Epoch]
    parameters: int | None
    replaced_layers: dict[str, int]
    has_fixed_weights: bool = False  # all seeds begin with the same ones
    samples: dict[str, int] = added_later({})  # of each split, by its name
    samples_per_second: float | None
    first_epoch_samples_per_second: float | None
    peak_memory_gib: float | None
    data_digest: str
    hardware: Hardware
    versions: Versions
    started_at: str
    ended_at: str
    attempts: list[Attempt]

    @property
    def has_known_code(self) -> bool:
        """Tell whether it has a hash of the harness's code and another of the user's."""
        return self.versions.harness_code is not None

    @property
    def user_code(self) -> str | None:
        """Return the hash of the user's code; of all code, if an earlier record has an own model."""
        model = self.settings.get("model")
        is_own = isinstance(model, dict) and is_callable_path(str(model.get("name")))
        return self.versions.code if is_own and not self.has_known_code else self.versions.user_code

    @property
    def commit(self) -> str | None:
        """Return the commit of the suite's repository; in earlier records that of the harness's."""
        return self.versions.user_commit if self.has_known_code else self.versions.commit

    def mistake(self, epochs: int, *, may_end_early: bool = False) -> str:
        """Return the contradiction in a record of a trial of `epochs` epochs; empty if there is none."""
        numbers = [each.epoch for each in self.epochs]
        is_short = len(numbers) < (1 if may_end_early else epochs)
        if len(numbers) > epochs or (self.status == "done" and is_short):
            return f"found {len(numbers)} epochs of a trial that is {self.status}, expected {epochs}"
        if numbers != list(range(1, len(numbers) + 1)):
            return f"found epochs numbered {numbers}, expected 1 to {len(numbers)}"
        for each in self.epochs:
            for name, value in each.metrics.items():
                if OF_EPOCH[name].is_fraction and (value < 0 or value > 1):  # neither is true of NaN
                    title = OF_EPOCH[name].title
                    return f"found the {title} {value} in epoch {each.epoch}, expected one from 0 to 1"
            if self.status == "done" and not all(map(math.isfinite, each.metrics.values())):
                return f"found epoch {each.epoch} of a trial that is done without a figure, expected numbers"
        return ""

    def settings_digest(self) -> str:
        """Return the digest of the record's settings and seed; empty if they are incomplete."""
        try:
            return digest_of({**self.settings, "seed": self.seed})
        except (KeyError, AttributeError, ValueError):
            return ""

    def to_json(self) -> str:
        """Return the record as JSON, from which floats are read back exactly, with its `sha256`."""
        return with_hash(self.model_dump())

    @classmethod
    def from_json(cls, text: str) -> Record:
        """Parse a record; raise ValueError (pydantic's ValidationError) if it is not one, or was changed."""
        try:
            text = without_hash(text)
            try:
                return cls.model_validate_json(
                    text
                )  # 2.5 times as fast as the json module, but with worse messages
            except ValueError:  # json also accepts half a surrogate pair, as in some tracebacks
                return cls.model_validate(json.loads(text))
        except RecursionError:
            raise ValueError("found JSON that is nested too deeply, expected a record") from None
