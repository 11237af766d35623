"""Check, before training, of loss and augmentations: whether they fit the data, and of a user's own loss."""

from __future__ import annotations

import math
from collections import deque
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.config.augmentations import ColorJitter
from harness.config.losses import Binary, OwnLoss
from harness.config.settings import Training
from harness.data import Dataset
from harness.errors import AugmentationError, LossError, TrainingError
from harness.model_contract import problem_of_call
from harness.training.losses import own_function
from harness.training.lr_schedule import rates
from harness.user_code import calling

_ROWS = 4
_EXPECTED = "(logits, labels, **settings)"
_EXACT = 1e-9


def check_training(training: Training, dataset: Dataset) -> None:
    """Raise a ModelError if an augmentation or the loss does not fit the data.

    A user's own loss has to be one of each sample by itself, too.
    """
    shape = dataset.image_shape
    for place, each in enumerate(training.augment):
        if problem := each.problem(shape):
            raise AugmentationError(
                f"training.augment[{place}], {each.name}: found {problem} ({dataset.name} has samples of "
                f"shape {shape})"
            )
        if isinstance(each, ColorJitter) and not _is_within_0_and_1(dataset.train.images):
            raise AugmentationError(
                f"training.augment[{place}], color_jitter: found samples below 0 or above 1, "
                "expected all in [0, 1]"
            )
    if (asking := training.asks_for_validation) and (problem := dataset.problem_of_validation()):
        raise TrainingError(f"training.{asking[0]}: {problem}")
    is_per_step = training.scheduler is not None and training.scheduler.per == "step"
    steps = math.ceil(len(dataset.train.labels) / training.batch_size) if is_per_step else 1
    deque(rates(training, training.epochs * steps), maxlen=0)  # some schedules fail on the way
    loss, classes = training.loss, dataset.num_classes
    if isinstance(loss, Binary) and classes != 2:
        raise LossError(
            f"training.loss: found 'binary' with {dataset.name}, which has {classes} classes, expected 2; "
            "use cross_entropy"
        )
    weights = loss.class_weights
    if isinstance(weights, list) and len(weights) != classes:
        raise LossError(
            f"training.loss.class_weights: found {len(weights)} weights, expected {classes}, one for each "
            f"class of {dataset.name}"
        )
    if isinstance(loss, OwnLoss):
        _check_own(loss, classes, allow_rank_dependent=training.allow_rank_dependent)


def _is_within_0_and_1(images: NDArray[Any]) -> bool:
    return images.dtype == np.uint8 or bool(images.min() >= 0 and images.max() <= 1)


def _check_own(loss: OwnLoss, classes: int, *, allow_rank_dependent: bool) -> None:
    function, called = own_function(loss.name, loss.arguments), loss.name.partition(":")[2]
    about = f"loss {loss.name!r}"
    if problem := problem_of_call(function.func, called, loss.arguments, _EXPECTED):
        raise LossError(f"{about}: {problem}")
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(_ROWS, classes, generator=generator, dtype=torch.float64).requires_grad_()
    labels = torch.arange(_ROWS) % classes
    with calling(f"{about}: fails on made-up logits", LossError):
        whole, again = function(logits, labels), function(logits, labels)
        _check_shape(about, whole, _ROWS)
        rows = [function(logits[row : row + 1], labels[row : row + 1]) for row in range(_ROWS)]
    if not whole.requires_grad:
        raise LossError(f"{about}: its losses have no gradient; compute them from the logits by torch")
    if allow_rank_dependent:
        return
    if not _is_close(again, whole):
        raise LossError(f"{about}: two calls with the same logits differ; it must draw no random numbers")
    _check_shape(about, rows[0], 1)
    if not _is_close(torch.cat(rows), whole):
        raise LossError(
            f"{about}: a sample's loss depends on the other samples of the batch: its results would depend "
            "on the number of ranks; return each sample's own, or allow it with "
            "`training.allow_rank_dependent: true`"
        )


def _check_shape(about: str, found: object, rows: int) -> None:
    if isinstance(found, Tensor) and found.is_floating_point() and found.shape == (rows,):
        return
    what = f"a tensor of shape {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
    raise LossError(
        f"{about}: returns {what}, expected the loss of each sample: floats of shape ({rows},); the harness "
        "takes the mean over the batch of all ranks"
    )


def _is_close(one: Tensor, another: Tensor) -> bool:
    return torch.allclose(one, another, rtol=_EXACT, atol=_EXACT, equal_nan=True)
