"""Plain PyTorch on colour images: a DataLoader with two workers crops and flips them, one process trains."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import models  # type: ignore[import-untyped]
from torchvision.transforms import v2  # type: ignore[import-untyped]

from benchmarks.trial import Trial

Loaders = tuple[DataLoader[tuple[Tensor, int]], DataLoader[tuple[Tensor, int]]]


class Images(Dataset[tuple[Tensor, int]]):
    """Arrays of images and labels, each image transformed when it is asked for."""

    def __init__(self, images: Tensor, labels: Tensor, transform: v2.Transform) -> None:
        self.images, self.labels, self.transform = images, labels, transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(self.images[index]), int(self.labels[index])


def loaders(file: Path, padding: int, batch_size: int) -> Loaders:
    """Return the loaders of the training and of the test set in an .npz file."""
    arrays = {name: torch.from_numpy(array) for name, array in np.load(file).items()}
    scale = v2.ToDtype(torch.float32, scale=True)
    augment = v2.Compose([v2.RandomCrop(32, padding), v2.RandomHorizontalFlip(), scale])
    train, test = (
        Images(arrays[f"x_{part}"].permute(0, 3, 1, 2).contiguous(), arrays[f"y_{part}"], transform)
        for part, transform in (("train", augment), ("test", scale))
    )
    load = partial(DataLoader, num_workers=2, persistent_workers=True, pin_memory=torch.cuda.is_available())
    return load(train, batch_size, shuffle=True), load(test, 500)


def train(seed: int, epochs: int, lr: float, own: Loaders, output: Path) -> None:
    """Train one trial; append its seconds and its last test accuracy to the output."""
    torch.manual_seed(seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = models.resnet18(num_classes=10).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr, momentum=0.9, weight_decay=5e-4, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * len(own[0]))
    loss_of, trial = nn.CrossEntropyLoss(), Trial(seed)
    for _ in range(epochs):
        trial.start_epoch()
        model.train()
        for images, labels in own[0]:
            optimizer.zero_grad(set_to_none=True)
            loss_of(model(images.to(device)), labels.to(device)).backward()
            optimizer.step()
            schedule.step()
        trial.end_training()
        model.eval()
        with torch.no_grad():
            right = sum(
                int((model(images.to(device)).argmax(1) == labels.to(device)).sum())
                for images, labels in own[1]
            )
        trial.end_evaluation()
    trial.append_to(output, right / len(own[1].dataset))  # type: ignore[arg-type]


if __name__ == "__main__":
    settings = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    own = loaders(Path(settings["file"]), settings["padding"], settings["batch_size"])
    for each in settings["seeds"]:
        train(each, settings["epochs"], settings["lr"], own, Path(sys.argv[2]))
