"""Part `settings`: recipes, losses and augmentations find on a card what they find on a CPU."""

from __future__ import annotations

import torch

from harness.results.record import EngineName
from harness.training.augment.augmenter import Augmenter
from harness.training.distributed import alone
from tests.gpu.card import CPU, Card
from tests.gpu.facts import Facts
from tests.gpu.training import train
from tests.support.training_settings import SETTINGS, data_of, trial_of


def settings(card: Card, facts: Facts) -> None:
    """Compare random numbers bit for bit, and float64 trials to 1e-9; each is captured, and nothing warns."""
    augment = trial_of("several augmentations").settings.training.augment
    samples, step = torch.arange(5000), torch.tensor(2**33 + 5)
    here, there = (
        Augmenter(augment, 7, 5000, 1700, each).draws(samples.to(each), step.to(each)).cpu()
        for each in (CPU, card.device)
    )
    facts.equal("random numbers are the CPU's", torch.equal(here, there), True)
    some = ["loss binary, balanced", "several augmentations", "accumulated", "ema"]
    for name in card.either([name for name in SETTINGS if not name.startswith("optimizer ")], some):
        trial = trial_of(name, epochs=7)
        expected = train(trial, data_of(trial, alone(CPU)), alone(CPU), "eager")
        engines: tuple[EngineName, ...] = ("eager", "graph")
        for engine in engines:
            found = train(trial, data_of(trial, card.alone), card.alone, engine)
            difference = found.difference(expected)
            facts.check(f"{name} {engine}, figures off by", f"{difference:.1e}", difference < 1e-9)
            facts.equal(f"{name} {engine}, engine", found.engine, engine)
            facts.equal(f"{name} {engine}, notes and warnings", [*found.notes, *found.warnings], [])
