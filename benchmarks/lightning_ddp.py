"""Lightning, as its documentation has it: a LightningModule, and a Trainer that starts its own ranks.

All that a Trainer does beside training is switched off, as its documentation on speed advises.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from benchmarks.experiment import Experiment
from benchmarks.trial import Trial

PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed"}


class Classifier(lightning.LightningModule):  # type: ignore[misc]
    """The experiment as a LightningModule; a Trainer calls everything here."""

    def __init__(self, experiment: Experiment, trial: Trial) -> None:
        super().__init__()
        self.experiment, self.trial = experiment, trial
        self.network, self.loss = experiment.network(), experiment.loss()

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        """Return the loss of a batch."""
        images, labels = batch
        loss: Tensor = self.loss(self.network(images), labels)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        """Log the accuracy of a batch; Lightning averages it over batches and ranks."""
        images, labels = batch
        right = (self.network(images).argmax(1) == labels).float().mean()
        self.log("test_accuracy", right, on_epoch=True, sync_dist=True, batch_size=len(labels))

    def configure_optimizers(self) -> dict[str, Any]:
        """Return the optimizer, and the scheduler that steps once an epoch."""
        optimizer = self.experiment.make_optimizer(self.parameters())
        return {"optimizer": optimizer, "lr_scheduler": self.experiment.make_scheduler(optimizer)}

    def on_train_epoch_start(self) -> None:
        """Take the time."""
        self.trial.start_epoch()

    def on_validation_start(self) -> None:
        """Take the time: training of an epoch ends where its validation starts."""
        self.trial.end_training()

    def on_validation_end(self) -> None:
        """Take the time."""
        self.trial.end_evaluation()


def main(experiment: Experiment, output: Path) -> None:
    """Train from each seed in turn; Lightning gives the loaders distributed samplers."""
    train_set, test_set = experiment.datasets()
    train_loader = DataLoader(train_set, experiment.local_batch_size, shuffle=True, **experiment.loading())
    test_loader = DataLoader(test_set, experiment.local_eval_batch_size, **experiment.loading())
    for seed in experiment.seeds:
        lightning.seed_everything(seed, verbose=False)
        trainer = lightning.Trainer(
            accelerator="gpu" if torch.cuda.is_available() else "cpu",
            devices=experiment.world_size,
            strategy="ddp" if experiment.world_size > 1 else "auto",
            precision=PRECISIONS[experiment.precision],
            max_epochs=experiment.epochs,
            num_sanity_val_steps=0,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trial = Trial(seed)
        trainer.fit(Classifier(experiment, trial), train_loader, test_loader)
        if trainer.is_global_zero:
            trial.append_to(output, float(trainer.callback_metrics["test_accuracy"]))


if __name__ == "__main__":
    main(*Experiment.from_argv())
