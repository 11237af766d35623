"""Check before training that a model's results do not depend on the ranks, and that it can be resumed."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from harness.config.settings import Settings, Training
from harness.data import Dataset
from harness.errors import HarnessError, ModelError, TrainingError
from harness.training.batch_shard import BatchShard
from harness.training.dataloader import EVAL_BATCH_SIZE
from harness.training.distributed import alone
from harness.training.hidden_state import fingerprint, globals_of
from harness.training.kept_state import copied
from harness.training.layers import Takeover
from harness.training.model_facts import CPU, ROWS, Examples, ModelFacts, facts_of, initialised
from harness.training.optim import optimizer_for
from harness.training.precision import PRECISIONS, cast
from harness.training.random_draws import drawing_modules
from harness.training.rng import seed_globally
from harness.training.sharding_check import ROWS as SHARED_ROWS
from harness.training.sharding_check import Build, difference_by_sharding, distance
from harness.training.training_check import check_training
from harness.user_code import calling, described

_REPEATABLE = 1e-6
_CHECKED: set[str] = set()  # kinds of models that have passed in this process
_ADVICE = (
    "its results would depend on the number of ranks; use torch's dropouts and norms, or allow it with "
    "`training.allow_rank_dependent: true`"
)


def check_model(settings: Settings, dataset: Dataset) -> ModelFacts:
    """Check the model on the CPU, once for its settings, by computing the same in several ways.

    Raise ModelError if it fails on a batch or with its optimizer, or if it keeps state that no checkpoint
    holds. Raise it also, unless the settings allow that, if it draws random numbers of its own, or if an
    image's results depend on the other images of its batch, other than by torch's norms.
    """
    check_training(settings.training, dataset)
    model = _CheckedModel.of(settings, dataset)
    dtype = str(model.dtype).removeprefix("torch.")
    about = f"model {model.settings['name']!r}: fails on made-up {dtype} images"
    with calling(about):  # which puts the number of threads and the random states back
        torch.set_num_threads(1)
        facts = facts_of(settings, dataset.image_shape, model.num_classes)
        if model.kind not in _CHECKED:
            model.check()
        _CHECKED.add(model.kind)
        model.take_a_step(has_sparse=facts.has_sparse)
        _check_lone_images(settings, dataset)
    return facts


@dataclass(frozen=True)
class _CheckedModel:
    settings: dict[str, Any]
    training: Training
    image_shape: tuple[int, ...]
    num_classes: int  # its outputs

    @classmethod
    def of(cls, settings: Settings, dataset: Dataset) -> _CheckedModel:
        outputs = settings.training.loss.outputs(dataset.num_classes)
        return cls(settings.model, settings.training, dataset.image_shape, outputs)

    @property
    def dtype(self) -> torch.dtype:
        return PRECISIONS[self.training.precision].dtype

    @property
    def kind(self) -> str:
        """Return all settings on which the check depends."""
        training = self.training.precision, self.training.allow_rank_dependent
        return json.dumps([self.settings, training, self.image_shape, self.num_classes])

    def build(self, dtype: torch.dtype | None = None) -> nn.Module:
        model = initialised(self.settings, 0, self.image_shape, self.num_classes)
        cast(model, dtype or self.dtype)
        return model

    def examples(self, dtype: torch.dtype | None = None, rows: int = ROWS) -> Examples:
        return Examples.of(
            self.settings["name"], self.image_shape, self.num_classes, dtype or self.dtype, rows
        )

    def error(self, reason: str) -> ModelError:
        return ModelError(f"model {self.settings['name']!r}: {reason}")

    def check(self) -> None:
        """Raise ModelError for the first reason not to train it."""
        if not _is_same(self.build().state_dict(), self.build().state_dict()):
            raise self.error(
                "two builds from one seed begin with other weights; draw them from torch's, Python's or "
                "NumPy's global generators, which the trial's seed has set"
            )
        draws = self.draws()
        if draws and not self.training.allow_rank_dependent:
            raise self.error(f"{'; '.join(draws)}: {_ADVICE}")
        if hidden := self.hidden_state():
            raise self.error(
                f"keeps state that no checkpoint holds: {', '.join(hidden)}; a resumed trial would be "
                "another: keep it in a buffer (register_buffer), or in get_extra_state and set_extra_state"
            )
        if not self.training.allow_rank_dependent and (differing := self.difference_by_sharding()):
            raise self.error(
                f"{differing} depends on the other images of the batch, and not by torch's norms: {_ADVICE}"
            )

    def difference_by_sharding(self) -> str:
        """Name what depends on how a batch is cut, if anything does."""
        try:
            return difference_by_sharding(*self._judged())
        except HarnessError:
            raise
        except Exception as error:
            raise self.error(f"fails on a part of a batch: {described(error)}; {_ADVICE}") from error

    def _judged(self) -> tuple[Build, Examples]:
        """Return the model and its examples in float64, or as it is trained where it has no float64."""
        try:
            with torch.no_grad():
                self.build(torch.float64)(self.examples(torch.float64).images)
        except Exception:
            return self.build, self.examples(rows=SHARED_ROWS)
        return partial(self.build, torch.float64), self.examples(torch.float64, SHARED_ROWS)

    def draws(self) -> list[str]:
        """Describe the modules that draw random numbers of their own."""
        model = self.build().train()
        takeover, shard = Takeover(model), BatchShard(alone(CPU), seed=0)

        def run() -> None:
            with takeover.functions():
                self.examples().passed(model.train(), shard)
                self.examples().passed(model.eval(), shard)

        return drawing_modules(model, run)

    def hidden_state(self) -> list[str]:
        """Name the state that moves from pass to pass, or that a pass depends on, outside of checkpoints."""
        model = self.build()
        takeover, start = Takeover(model), copied(model)
        passes = []
        for _ in range(3):  # the first may set up what then stays
            for key, value in model.state_dict().items():
                if isinstance(value, Tensor):
                    value.detach().copy_(start[key])
            logits = self._logits(model, takeover, self.examples())
            passes.append((logits, fingerprint(model), globals_of(model)))
        (one, before, globals_before), (another, after, globals_after) = passes[1:]
        fresh = self._resumed(model)
        resumed = fingerprint(fresh)
        moved = [key for key in after if before.get(key) != after[key] != resumed.get(key)]
        moved += [key for key in globals_after if globals_before.get(key) != globals_after[key]]
        if moved:
            return sorted(moved)
        if distance(one, another) > _REPEATABLE:
            return ["something that makes two passes over the same images differ"]
        turned = replace(self.examples(), images=self.examples().images.flip(0))
        differing = [key for key, value in after.items() if resumed.get(key) != value]
        kept, lost = (self._logits(each, Takeover(each), turned) for each in (model, fresh))
        return sorted(differing) if distance(kept, lost) > _REPEATABLE else []

    def _logits(self, model: nn.Module, takeover: Takeover, examples: Examples) -> Tensor:
        """Return the logits of one pass in train mode, and one in eval mode."""
        seed_globally(0)
        shard = BatchShard(alone(CPU), seed=0, expects_recomputation=True)
        with takeover.functions():
            logits = [examples.passed(model.train(mode), shard)[0] for mode in (True, False)]
        model.zero_grad()
        return torch.cat(logits)

    def _resumed(self, model: nn.Module) -> nn.Module:
        """Return a new model with the other's state, as a checkpoint keeps it."""
        buffer, fresh = io.BytesIO(), self.build()
        try:
            torch.save(model.state_dict(), buffer)
            buffer.seek(0)
            fresh.load_state_dict(torch.load(buffer, weights_only=True))
        except Exception as error:
            raise self.error(
                f"its state cannot be kept in a checkpoint: {type(error).__name__}: {error}; expected what a "
                "newly built model takes: tensors, numbers, texts, lists and dictionaries"
            ) from error
        return fresh

    def take_a_step(self, *, has_sparse: bool) -> None:
        """Take a step with the trial's optimizer, which may not take the model's gradients."""
        model = self.build().train()
        takeover = Takeover(model)
        with takeover.functions():
            self.examples().passed(model, BatchShard(alone(CPU), seed=0))
        try:
            optimizer_for(self.training, model, has_sparse=has_sparse).step()
        except TrainingError:
            raise
        except Exception as error:
            raise self.error(f"{self.training.optimizer.name} does not train it: {error}") from error


def _check_lone_images(settings: Settings, dataset: Dataset) -> None:
    """Raise ModelError if the model cannot take a last batch of one image, where there is one."""
    train, test, batch_size = (
        len(dataset.train.labels),
        len(dataset.test.labels),
        settings.training.batch_size,
    )
    last = {"training": train % min(batch_size, train) or batch_size, "testing": test % EVAL_BATCH_SIZE}
    model = _CheckedModel.of(settings, dataset)
    for kind, size in last.items():
        if size != 1:
            continue
        plain = model.build().train(kind == "training")
        try:
            with Takeover(plain).functions():
                model.examples(rows=1).passed(plain, BatchShard(alone(CPU), seed=0))
        except ValueError as error:
            raise model.error(
                f"the last batch of {kind} holds one image ({train} and {test} images, training.batch_size "
                f"{batch_size}), and the model takes no such batch: {error}; choose another batch_size"
            ) from error


def _is_same(one: Mapping[str, Any], another: Mapping[str, Any]) -> bool:
    tensors = {key: value for key, value in one.items() if isinstance(value, Tensor)}
    return all(distance(value, another[key]) == 0 for key, value in tensors.items())
