"""The experiment that every peer trains: its settings, and the parts that no training framework decides.

Data, network, optimizer, scheduler and loss are the same for all; loops and devices are each peer's own.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import Dataset

NUM_CLASSES = 10
EVAL_BATCH_SIZE = 500  # of all ranks together, as the harness has it
FUSED = ("Adam", "AdamW", "SGD")

Sample = tuple[Tensor, int]


@dataclass(frozen=True)
class Experiment:
    """One experiment and the seeds to train it from; `batch_size` is that of all ranks together."""

    dataset: str  # the name of torchvision's class
    root: str
    resize: int | None
    seeds: list[int]
    epochs: int
    batch_size: int
    world_size: int
    precision: str  # fp32 or bf16
    label_smoothing: float
    optimizer: dict[str, Any]
    scheduler: dict[str, Any] | None
    model: dict[str, Any]

    @classmethod
    def from_argv(cls) -> tuple[Experiment, Path]:
        """Return the experiment and the output that argv names; from here on fp32 is fp32, without TF32."""
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        return cls(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))), Path(sys.argv[2])

    def write(self, path: Path) -> None:
        """Write the experiment as `from_argv` reads it."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @property
    def local_batch_size(self) -> int:
        """Return the batch of one rank."""
        return self.batch_size // self.world_size

    @property
    def local_eval_batch_size(self) -> int:
        """Return one rank's batch in evaluation."""
        return max(1, EVAL_BATCH_SIZE // self.world_size)

    def datasets(self) -> tuple[Dataset[Sample], Dataset[Sample]]:
        """Return the training and the test set, images as floats in [0, 1]."""
        import torchvision.datasets  # type: ignore[import-untyped]  # for a second
        from torchvision import transforms

        steps = [] if self.resize is None else [transforms.Resize(self.resize)]
        transform = transforms.Compose([*steps, transforms.ToTensor()])
        cls = getattr(torchvision.datasets, self.dataset)
        train, test = (cls(self.root, train=train, transform=transform) for train in (True, False))
        return train, test

    def loading(self) -> dict[str, Any]:
        """Return the arguments of a DataLoader that PyTorch's and Lightning's documentation advise.

        A worker for each of a rank's cores beside the one that it trains on, kept alive, and pinned memory
        where there is a GPU. Ranks on all cores of a CPU are fastest without workers.
        """
        workers = max(0, len(os.sched_getaffinity(0)) // self.world_size - 1)
        return {
            "num_workers": workers,
            "persistent_workers": workers > 0,
            "pin_memory": torch.cuda.is_available(),
        }

    def network(self) -> nn.Module:
        """Build the network with torch's own initialisation, from torch's current random state."""
        settings = dict(self.model)
        build = importlib.import_module(f"harness.models.{settings.pop('name')}").build
        side = self.resize or 28
        network: nn.Module = build((1, side, side), NUM_CLASSES, **settings)
        return network

    def loss(self) -> nn.Module:
        """Return the loss, averaged over a batch."""
        return nn.CrossEntropyLoss(label_smoothing=self.label_smoothing)

    def make_optimizer(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Return the optimizer of the parameters, fused where there is such, as torch.optim advises."""
        settings = dict(self.optimizer)
        name = settings.pop("name")
        if name in FUSED:
            settings["fused"] = True
        optimizer: torch.optim.Optimizer = getattr(torch.optim, name)(parameters, **settings)
        return optimizer

    def make_scheduler(self, optimizer: torch.optim.Optimizer) -> LRScheduler:
        """Return the scheduler, to be stepped once an epoch; a constant one where there is none."""
        if self.scheduler is None:
            return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)
        settings = dict(self.scheduler)
        scheduler: LRScheduler = getattr(torch.optim.lr_scheduler, settings.pop("name"))(
            optimizer, **settings
        )
        return scheduler

    def autocast(self, device: torch.device) -> torch.autocast:
        """Return the context of a forward pass: bf16 where it was asked for."""
        return torch.autocast(device.type, torch.bfloat16, enabled=self.precision == "bf16")
