"""Learning rate of a trial: a function of the step alone, copied to where the optimizer reads it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from harness.config.schedulers import Function, OfTorchScheduler, OwnScheduler
from harness.config.settings import Training
from harness.errors import TrainingError
from harness.plugins import imported
from harness.training.dynamo_stub import optimizer_class
from harness.user_code import calling


class LearningRate:
    """Learning rate of each step of a trial; nothing of it needs to be saved."""

    def __init__(self, training: Training, optimizer: torch.optim.Optimizer, steps_per_epoch: int) -> None:
        is_per_step = training.scheduler is not None and training.scheduler.per == "step"
        self._optimizer, self._steps_per_unit = optimizer, 1 if is_per_step else steps_per_epoch
        self._is_constant = training.scheduler is None
        # An optimizer of the user's own may have groups with rates of their own.
        lrs = [group["lr"] for group in optimizer.param_groups]
        self._shares = [1.0 if isinstance(lr, Tensor) else lr / training.optimizer.lr for lr in lrs]
        length = training.epochs * steps_per_epoch // self._steps_per_unit
        self._next_rates = rates(training, length)
        self._rates: list[float] = []  # of the units, epochs or steps, that have been asked for
        self._set: float | None = None

    def at(self, step: int) -> float:
        """Return the learning rate of a step, by its number from 0 over the whole trial."""
        unit = step // self._steps_per_unit
        self._rates += itertools.islice(self._next_rates, max(0, unit + 1 - len(self._rates)))
        return self._rates[unit]

    def set(self, step: int) -> None:
        """Have the optimizer take this step with its rate."""
        rate = self.at(step)
        if self._is_constant or rate == self._set:
            return
        self._set = rate
        for group, share in zip(self._optimizer.param_groups, self._shares, strict=True):
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate * share)
            else:
                group["lr"] = rate * share


def rates(training: Training, length: int) -> Iterator[float]:
    """Return the rate of each of the `length` epochs or steps of a trial: the warm-up, then the schedule.

    Raise TrainingError, at the latest when a rate is asked for, if there is none.
    """
    lr, scheduler = training.optimizer.lr, training.scheduler
    if scheduler is None:
        return itertools.repeat(lr, length)
    warm_up = min(length, round(scheduler.warmup_epochs * length / training.epochs))
    rest = length - warm_up
    rising = (lr * (unit + 1) / (warm_up + 1) for unit in range(warm_up))
    if isinstance(scheduler, OfTorchScheduler):
        return itertools.chain(rising, _of_torch(scheduler, lr, rest))
    factor = _factor(scheduler)  # imported now, while the user's code is what the run started with
    return itertools.chain(rising, (lr * factor(unit / rest) for unit in range(rest)))


def _factor(scheduler: Function | OwnScheduler) -> Callable[[float], float]:
    if isinstance(scheduler, Function):
        return scheduler.factor
    own = imported("scheduler", scheduler.name, TrainingError)

    def factor(done: float) -> float:
        with calling(f"scheduler {scheduler.name!r}", TrainingError):
            found = float(own(done, **scheduler.arguments))
        if not 0 <= found < math.inf:
            raise TrainingError(
                f"scheduler {scheduler.name!r}: found the factor {found!r}, expected 0 or more"
            )
        return found

    return factor


def _of_torch(scheduler: OfTorchScheduler, lr: float, length: int) -> Iterator[float]:
    """Yield the rates of torch's scheduler.

    It drives a stand-in without weights: some multiply the last rate, and if an optimizer holds its rate as a
    float32 tensor, the rounding would add up.
    """
    settings: dict[str, Any] = scheduler.model_dump(exclude={"name", "per", "warmup_epochs"})
    if scheduler.length and settings[scheduler.length] is None:
        settings[scheduler.length] = max(1, length)
    settings |= {scheduler.highest: lr} if scheduler.highest else {}
    stand_in = optimizer_class("SGD")([torch.zeros(())], lr=lr)  # type: ignore[call-arg]
    name = type(scheduler).__name__
    try:
        driven = getattr(torch.optim.lr_scheduler, name)(stand_in, **settings, **scheduler.fixed)
        stand_in.step()  # without gradients it does nothing, but torch warns where there was none
        for _ in range(length):
            yield float(stand_in.param_groups[0]["lr"])
            driven.step()
    except (ArithmeticError, ValueError) as error:
        raise TrainingError(
            f"scheduler {name}: torch has no rates for {length} {scheduler.per}s with these settings: {error}"
        ) from error
