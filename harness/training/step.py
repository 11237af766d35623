"""Training step and evaluation batch of a trial; nothing in them synchronises with the host."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from harness.results.metrics import METRICS
from harness.training.augment.augmenter import Augmenter
from harness.training.batch_shard import BatchShard
from harness.training.dataloader import ResidentDataset, Share
from harness.training.distributed import ProcessGroup
from harness.training.layers import Takeover
from harness.training.losses import Criterion, Targets, class_logits
from harness.training.precision import Precision
from harness.training.rng import kept_random_states


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
    """A model with its optimizer and data; trains and evaluates one rank's share of a batch."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    data: ResidentDataset
    precision: Precision
    criterion: Criterion
    augmenter: Augmenter
    shard: BatchShard
    takeover: Takeover
    totals: Totals = field(init=False)

    def __post_init__(self) -> None:
        device = self.shard.world.device
        self.totals = Totals(torch.zeros(len(METRICS) + 1, dtype=torch.float64, device=device))
        self._first = torch.zeros(1, dtype=torch.int64, device=device)
        self._train_criterion = self.criterion.over(self.data.train.labels)
        self._test_criterion = self.criterion.over(self.data.test.labels)

    def train(self, share: Share) -> Tensor:
        """Take one optimizer step; return this rank's summed loss."""
        world = self.shard.world
        self.optimizer.zero_grad(set_to_none=True)
        with self._pass():
            logits, labels, loss, weight = self._forward_train(share)
            # DDP averages gradients over ranks: scaled so, a rank's sum counts by the samples that it holds.
            total = share.size if weight is None else world.sum_(weight)
            (loss * (world.world_size / total)).backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.shard.step.add_(1)
        self.totals.add(loss, logits, labels)
        return loss.detach()

    def rehearse(self, share: Share) -> None:
        """Run two forward and backward passes that change nothing.

        DDP lays gradients out anew after the first passes of a process, and the layout decides the order of
        sums: a trial that resumes in another process must not take a step in the first layout again.
        """
        kept = copy.deepcopy(self.model.state_dict())
        others = [buffer.clone() for buffer in self.model.buffers()]
        self.model.train()
        with kept_random_states(self.shard.world.device), self._pass():
            for _ in range(2):
                self.optimizer.zero_grad(set_to_none=True)
                self._forward_train(share)[2].backward()  # type: ignore[no-untyped-call]
        self.optimizer.zero_grad(set_to_none=True)
        self.model.load_state_dict(kept)
        with torch.no_grad():
            for buffer, value in zip(self.model.buffers(), others, strict=True):  # some are in no state
                buffer.copy_(value)

    @torch.no_grad()
    def evaluate(self, share: Share) -> Tensor:
        """Evaluate one batch of the test set and add to the totals; return this rank's summed loss."""
        with self._pass():
            images, labels = self.data.test.gather(self._chosen(share))
            logits, labels, loss, _ = self._forward(share, images, Targets(labels), self._test_criterion)
        self.totals.add(loss, logits, labels)
        return loss

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
        return self._forward(share, images, targets, self._train_criterion)

    def _forward(
        self, share: Share, images: Tensor, targets: Targets, criterion: Criterion
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Return logits, labels, summed loss and summed weights of a share; None if each sample weighs 1."""
        device = self.shard.world.device
        self.shard.set(share.first_row, len(share.chosen), share.size)
        self.precision.set_products(device)
        with self.precision.forward(device):
            logits = self.model(images)
        logits = class_logits(logits.to(self.precision.dtype))
        loss, weight = criterion.summed(logits, targets), criterion.weight_of(targets)
        if len(share.chosen) == 0:
            return logits[:0], targets.labels[:0], loss * 0, None if weight is None else weight * 0
        return logits, targets.heavier, loss, weight
