"""Training step and evaluation batch of a trial; nothing in them synchronises with the host."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.training.dataloader import ResidentDataset, Share
from harness.training.distributed import ProcessGroup
from harness.training.layers import BatchShard
from harness.training.precision import Precision


@dataclass
class Totals:
    """Sums over samples: loss, correct predictions, count; kept on the device until they are read."""

    sums: Tensor

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Add one rank's share of a batch."""
        right = (logits.argmax(1) == labels).sum() if len(labels) else loss.new_zeros(())
        count = loss.new_full((), len(labels), dtype=torch.float64)
        self.sums += torch.stack([loss.detach().double(), right.double(), count])

    def of_ranks(self, world: ProcessGroup) -> list[list[float]]:
        """Return every rank's sums, in the order of ranks."""
        rows: list[list[float]] = world.gather(self.sums.clone()).tolist()
        return rows

    def start(self, sums: list[float] | None = None) -> None:
        """Reset the sums to zero, or to earlier sums."""
        self.sums.zero_() if sums is None else self.sums.copy_(torch.tensor(sums, dtype=torch.float64))


def averages(sums: list[list[float]]) -> tuple[float, float]:
    """Return loss and accuracy over the samples of all ranks."""
    loss, right, count = (math.fsum(column) for column in zip(*sums, strict=True))
    return loss / count, right / count


@dataclass
class Step:
    """A model with its optimizer and data; trains and evaluates one rank's share of a batch."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    data: ResidentDataset
    precision: Precision
    label_smoothing: float
    shard: BatchShard
    totals: Totals = field(init=False)

    def __post_init__(self) -> None:
        self.totals = Totals(torch.zeros(3, dtype=torch.float64, device=self.shard.world.device))

    def train(self, share: Share) -> Tensor:
        """Take one optimizer step; return this rank's summed loss."""
        world = self.shard.world
        images, labels = self.data.train.gather(share.chosen)
        self.optimizer.zero_grad(set_to_none=True)
        logits, loss = self._forward(images, labels, share)
        # DDP averages gradients over ranks: scaled so, a rank's sum counts by the samples that it holds.
        (loss * (world.world_size / share.size)).backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.shard.step.add_(1)
        self.totals.add(loss, logits, labels)
        return loss.detach()

    def rehearse(self, share: Share) -> None:
        """Run two forward and backward passes that change nothing.

        DDP lays gradients out anew after the first passes of a process, and the layout decides the order of
        sums: a trial that resumes in another process must not take a step in the first layout again.
        """
        kept = [buffer.clone() for buffer in self.model.buffers()]
        self.model.train()
        for _ in range(2):
            images, labels = self.data.train.gather(share.chosen)
            self.optimizer.zero_grad(set_to_none=True)
            self._forward(images, labels, share)[1].backward()  # type: ignore[no-untyped-call]
        self.optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            for buffer, value in zip(self.model.buffers(), kept, strict=True):
                buffer.copy_(value)

    @torch.no_grad()
    def evaluate(self, share: Share) -> Tensor:
        """Evaluate one batch of the test set and add to the totals; return this rank's summed loss."""
        images, labels = self.data.test.gather(share.chosen)
        logits, loss = self._forward(images, labels, share)
        self.totals.add(loss, logits, labels)
        return loss

    def _forward(self, images: Tensor, labels: Tensor, share: Share) -> tuple[Tensor, Tensor]:
        device = self.shard.world.device
        self.shard.set(share.first_row, len(labels), share.size)
        self.precision.set_products(device)
        with self.precision.forward(device):
            logits = self.model(images)
        logits = logits.to(self.precision.dtype)
        smoothing = self.label_smoothing
        return logits, functional.cross_entropy(logits, labels, reduction="sum", label_smoothing=smoothing)
