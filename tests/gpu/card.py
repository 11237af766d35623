"""The card that the parts run on, or the CPU on which they are rehearsed, and what they train there."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from harness.config.suite import Trial
from harness.training.dataloader import DataOn, ResidentDataset
from harness.training.device import compute_exactly
from harness.training.distributed import ProcessGroup, alone
from harness.training.precision import PRECISIONS
from tests.gpu import engines
from tests.support.trials import MIXER, small_dataset, small_trial

T = TypeVar("T")

CPU = torch.device("cpu")
EXP_3 = {"name": "patch_mixer", "patch_size": 8, "width": 128, "hidden": [64]}
EXP_2 = {**EXP_3, "patch_size": 4}
FINAL = {"name": "patch_mixer", "patch_size": 4, "width": 256, "hidden": [64, 64, 128, 128, 256, 256]}

SGD = {"name": "SGD", "lr": 0.05, "momentum": 0.9, "weight_decay": 0.001}


@dataclass(frozen=True)
class Card:
    """A GPU, or in a rehearsal the CPU, where traced graphs stand for CUDA's."""

    device: torch.device
    is_rehearsal: bool

    @classmethod
    def here(cls, *, is_rehearsal: bool) -> Card:
        """Take the first card of this process into use, as a rank does."""
        torch.set_num_threads(1)
        if is_rehearsal:
            engines.trace_graphs()
            return cls(CPU, is_rehearsal)
        if not torch.cuda.is_available():
            raise RuntimeError(
                "found no GPU that torch can use; REHEARSAL=1 goes through the motions on a CPU"
            )
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        device = torch.device("cuda", 0)
        torch.cuda.set_device(device)
        compute_exactly()
        return cls(device, is_rehearsal)

    @property
    def alone(self) -> ProcessGroup:
        """Return the world of one rank on it."""
        return alone(self.device)

    def either(self, on_card: T, in_rehearsal: T) -> T:
        """Return the one or the other: sizes, mostly."""
        return in_rehearsal if self.is_rehearsal else on_card

    def trial(self, model: dict[str, Any], precision: str, seed: int = 3, **training: Any) -> Trial:
        """Return a trial of the size of the report's, in a rehearsal a small one of the small mixer."""
        if self.is_rehearsal:
            return small_trial(MIXER, seed, precision, **training)
        return small_trial(model, seed, precision, side=32, **{"batch_size": 128, **training})

    def data(self, trial: Trial, train: int = 2000, data_on: DataOn = "device") -> ResidentDataset:
        """Put made-up data for the trial on the card: 2,000 images are 16 batches."""
        side = trial.settings.dataset.resize
        dataset = small_dataset(train=self.either(train, 90), side=side or 28)
        dtype = PRECISIONS[trial.settings.training.precision].dtype
        return ResidentDataset.of(dataset, self.device, dtype, data_on)

    def allocated_mib(self) -> float:
        """Return what tensors take of the card now."""
        return 0.0 if self.is_rehearsal else torch.cuda.memory_allocated(self.device) / 2**20

    def reserved_mib(self) -> float:
        """Return what the process cannot give back of the card now."""
        if self.is_rehearsal:
            return 0.0
        torch.cuda.synchronize(self.device)
        torch.cuda.empty_cache()
        return torch.cuda.memory_reserved(self.device) / 2**20
