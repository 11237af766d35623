"""One step of training and one pass of evaluation, executed eagerly."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.settings import Training
from harness.training.batches import Batch
from harness.training.layers import Cut
from harness.training.world import World


@dataclass
class Totals:
    """Sums over samples: loss, right answers, samples; on the device until they are asked for."""

    sums: Tensor

    @classmethod
    def zero(cls, device: torch.device) -> Totals:
        """Start from nothing."""
        return cls(torch.zeros(3, dtype=torch.float64, device=device))

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Add one rank's share of a batch."""
        right = (logits.argmax(1) == labels).sum() if len(labels) else loss.new_zeros(())
        count = loss.new_full((), len(labels), dtype=torch.float64)
        self.sums += torch.stack([loss.detach().double(), right.double(), count])

    def averages(self, world: World) -> tuple[float, float]:
        """Return loss and accuracy over the samples of all ranks."""
        loss, right, count = world.sum_(self.sums.clone()).tolist()
        return loss / count, right / count


@dataclass
class Eager:
    """Executes steps operation by operation."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    training: Training
    cut: Cut

    name = "eager"

    def train(
        self, batches: Iterable[Batch], first_step: int, after_step: Callable[[int, Tensor], None]
    ) -> Totals:
        """Take one optimizer step a batch; `after_step` gets its number and this rank's summed loss."""
        world = self.cut.world
        totals = Totals.zero(world.device)
        self.model.train()
        for step, batch in enumerate(batches, first_step):
            self.cut.set(step, batch.first_row, len(batch.labels))
            self.optimizer.zero_grad(set_to_none=True)
            logits = self.model(batch.images)
            loss = self._loss(logits, batch.labels)
            # Gradients are averaged over ranks: a rank's sum weighs as many samples as it holds.
            (loss * (world.world_size / batch.size)).backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            totals.add(loss, logits, batch.labels)
            after_step(step, loss.detach())
        return totals

    @torch.no_grad()
    def evaluate(self, batches: Iterable[Batch], after_batch: Callable[[], None]) -> Totals:
        """Sum loss and right answers up in eval mode."""
        totals = Totals.zero(self.cut.world.device)
        self.model.eval()
        for batch in batches:
            self.cut.set(-1, batch.first_row, len(batch.labels))
            logits = self.model(batch.images)
            totals.add(self._loss(logits, batch.labels), logits, batch.labels)
            after_batch()
        return totals

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        smoothing = self.training.loss.label_smoothing
        return functional.cross_entropy(logits, labels, reduction="sum", label_smoothing=smoothing)
