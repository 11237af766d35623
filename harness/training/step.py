"""Training step and evaluation batch of a trial; nothing in them synchronises with the host."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from harness.results.metrics import METRICS
from harness.training.augment.augmenter import Augmenter
from harness.training.batch_shard import BatchShard
from harness.training.dataloader import ResidentDataset, Share
from harness.training.distributed import ProcessGroup
from harness.training.kept_state import kept_state
from harness.training.layers import Takeover
from harness.training.losses import Criterion, Targets, class_logits
from harness.training.precision import Precision
from harness.training.rng import kept_random_states
from harness.training.weight_average import WeightAverage
from harness.training.weight_casts import WeightCasts


@dataclass
class Totals:
    """Sums over samples: each metric's, then their count; kept on the device until they are read."""

    sums: Tensor

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Add one rank's share of a batch."""
        loss = loss if len(labels) else loss.new_zeros(())  # times zero it may still be no number
        found = [metric.count(logits, labels) if metric.count else loss.detach() for metric in METRICS]
        count = loss.new_full((), len(labels), dtype=torch.float64)
        self.sums += torch.stack([*(each.double() for each in found), count])

    def of_ranks(self, world: ProcessGroup) -> list[list[float]]:
        """Return every rank's sums, in the order of ranks."""
        rows: list[list[float]] = world.gather(self.sums.clone()).tolist()
        return rows

    def start(self, sums: list[float] | None = None) -> None:
        """Reset the sums to zero, or to earlier sums."""
        self.sums.zero_() if sums is None else self.sums.copy_(torch.tensor(sums, dtype=torch.float64))


def averages(sums: list[list[float]], part: str) -> dict[str, float]:
    """Return the metrics of a part of the data over the samples of all ranks, by their names in an epoch."""
    *totals, count = (math.fsum(column) for column in zip(*sums, strict=True))
    pairs = zip(METRICS, totals, strict=True)
    return {f"{part}_{metric.name}": total / count for metric, total in pairs}


@dataclass
class Step:
    """A model with its optimizer and data; trains and evaluates one rank's share of a batch.

    `train_forward` computes the logits of a training pass: it is the model, or its compiled forward.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    data: ResidentDataset
    precision: Precision
    criterion: Criterion
    augmenter: Augmenter
    shard: BatchShard
    takeover: Takeover
    casts: WeightCasts
    average: WeightAverage | None = None
    clip_grad_norm: float | None = None
    accumulate: int = 1
    totals: Totals = field(init=False)
    train_forward: Callable[[Tensor], Tensor] = field(init=False)

    def __post_init__(self) -> None:
        device = self.shard.world.device
        self.totals = Totals(torch.zeros(len(METRICS) + 1, dtype=torch.float64, device=device))
        self.train_forward = self.model
        self._first = torch.zeros(1, dtype=torch.int64, device=device)
        self._train_criterion = self.criterion.over(self.data.train.labels)
        self._criteria = {
            part: self.criterion.over(split.labels) for part, split in self.data.evaluated.items()
        }

    @property
    def needs_whole_batches(self) -> bool:
        """Tell whether a rank needs more samples of a batch than its share of it."""
        return self.augmenter.mixes or self.accumulate > 1

    def train(self, share: Share) -> Tensor:
        """Take one optimizer step; return this rank's summed loss. The caller has the shard advance."""
        self.optimizer.zero_grad(set_to_none=True)
        losses, weights = zip(*self._backward(share), strict=True)
        self._scale(share, weights)
        if self.clip_grad_norm is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_grad_norm)
        self.optimizer.step()
        if self.average is not None:
            self.average.update()
        return torch.stack(losses).sum() if len(losses) > 1 else losses[0]

    def _backward(self, share: Share) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Add up the gradients of a batch's parts; yield this rank's summed loss and weight of each.

        DDP averages gradients over ranks, after the last part: scaled so, a rank's sum counts by the samples
        that it holds.
        """
        world, parts = self.shard.world, self.parts(share)
        for part in parts:
            is_last = part is parts[-1]
            exchange = contextlib.nullcontext() if is_last else world.without_exchange(self.model)
            with self._pass(), self.casts.standing_in(), exchange:
                logits, labels, loss, weight = self._forward_train(part)
                total = world.sum_(weight) if weight is not None and len(parts) == 1 else len(share.batch)
                (loss * (world.world_size / total)).backward()  # type: ignore[no-untyped-call]
            self.totals.add(loss, logits, labels)
            yield loss.detach(), weight

    def _scale(self, share: Share, weights: Sequence[Tensor | None]) -> None:
        """Divide the gradients of several parts by their weight, which is known after the last one."""
        known = [weight for weight in weights if weight is not None]
        if len(known) > 1:
            total = self.shard.world.sum_(torch.stack(known).sum()) / len(share.batch)
            torch._foreach_div_(
                [each.grad for each in self.model.parameters() if each.grad is not None], total
            )

    def parts(self, share: Share) -> list[Share]:
        """Return this rank's shares of the batch's parts, which pass the model one after the other."""
        return list(share.parts(self.accumulate, self.shard.world))

    def rehearse(self, part: Share) -> None:
        """Run a forward and a backward pass that change nothing."""
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        states = kept_state(self.model), kept_random_states(self.shard.world.device)
        with states[0], states[1], self._pass(), self.casts.standing_in():
            self._forward_train(part)[2].backward()  # type: ignore[no-untyped-call]
        self.optimizer.zero_grad(set_to_none=True)

    @torch.no_grad()
    def evaluate(self, share: Share, part: str = "test") -> Tensor:
        """Evaluate one batch of a part of the data and add to the totals; return this rank's summed loss."""
        with self._pass():
            images, labels = self.data.evaluated[part].gather(self._chosen(share))
            logits, labels, loss, _ = self._forward(
                self.model, share, images, Targets(labels), self._criteria[part]
            )
        self.totals.add(loss, logits, labels)
        return loss

    @torch.no_grad()
    def estimate_norms(self, share: Share, number: int) -> None:
        """Move the batch norms' running statistics to the mean over batches, of which this is one, from 0."""
        norms = [each for each in self.model.modules() if isinstance(each, _BatchNorm)]
        momenta = [each.momentum for each in norms]
        for each in norms:
            if number == 0:
                each.reset_running_stats()
            each.momentum = None  # torch's word for the mean
        with self._pass():
            images, labels = self.data.train.gather(self._chosen(share))
            self._forward(self.model, share, images, Targets(labels), self._train_criterion)
        for each, momentum in zip(norms, momenta, strict=True):
            each.momentum = momentum

    @contextlib.contextmanager
    def _pass(self) -> Iterator[None]:
        with self.takeover.functions(), self.shard.active():
            yield

    def _chosen(self, share: Share) -> Tensor:
        """Return a share's samples, of an empty one the first of all.

        That one counts in nothing: collectives and DDP's backward must be met.
        """
        return share.chosen if len(share.chosen) else self._first

    def _forward_train(self, share: Share) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        step = self.shard.step
        images, targets = self.augmenter.batch(self.data.train, share, self._chosen(share), step)
        return self._forward(self.train_forward, share, images, targets, self._train_criterion)

    def _forward(
        self,
        forward: Callable[[Tensor], Tensor],
        share: Share,
        images: Tensor,
        targets: Targets,
        criterion: Criterion,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Return logits, labels, summed loss and summed weights of a share; None if each sample weighs 1."""
        device = self.shard.world.device
        self.shard.set(share.first_row, len(share.chosen), share.size)
        self.precision.set_products(device)
        with self.precision.forward(device):
            logits = forward(images)
        logits = class_logits(logits.to(self.precision.dtype))
        loss, weight = criterion.summed(logits, targets), criterion.weight_of(targets)
        if len(share.chosen) == 0:
            return logits[:0], targets.labels[:0], loss * 0, None if weight is None else weight * 0
        return logits, targets.heavier, loss, weight
