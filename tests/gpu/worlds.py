"""Part `worlds`: what ranks exchange, on one card: over gloo by several, over NCCL inside a graph by one."""

from __future__ import annotations

import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch.distributed as dist

from harness.results.record import EngineName
from harness.training.distributed import ProcessGroup
from tests.gpu.card import SGD, Card
from tests.gpu.facts import Facts
from tests.gpu.training import train
from tests.support.ranks import run_ranks
from tests.support.trials import CONVNET, MIXER, MLP, resident, small_trial

_MODELS = (MIXER, CONVNET, MLP)


class More(int):
    """A world size of one that says it is more, so that every exchange is really made."""

    def __eq__(self, other: object) -> bool:
        return False

    def __ne__(self, other: object) -> bool:
        return True

    def __gt__(self, other: object) -> bool:
        return True

    __hash__ = int.__hash__


def worlds(card: Card, facts: Facts) -> None:
    """Compare several ranks on one card, and DDP in a graph, with one rank alone."""
    trials = [small_trial(model, epochs=4, optimizer=SGD) for model in card.either(_MODELS, (MIXER,))]
    alone = [train(trial, resident(trial, card.alone), card.alone, "eager") for trial in trials]
    for size in card.either((2, 3), (2,)):
        (found, *_) = run_ranks(size, of_a_rank, card.is_rehearsal, device=str(card.device))
        for trial, expected in zip(trials, alone, strict=True):
            name = trial.settings.model["name"]
            difference = max(
                abs(one - other) / max(abs(other), 1e-300)
                for one, other in zip(found[name], expected.figures, strict=True)
            )
            facts.check(f"{name}, {size} ranks over gloo, off by", f"{difference:.1e}", difference < 1e-9)
    engine: EngineName = card.either("graph", "eager")
    with TemporaryDirectory() as folder:
        dist.init_process_group(
            card.either("cpu:gloo,cuda:nccl", "gloo"),
            init_method=f"file://{Path(folder) / 'store'}",
            rank=0,
            world_size=1,
            timeout=datetime.timedelta(seconds=60),
        )
        world = ProcessGroup(0, More(1), card.device, dist.group.WORLD)
        for trial, expected in zip(trials, alone, strict=True):
            name = f"{trial.settings.model['name']}, DDP in a graph over NCCL"
            got = train(trial, resident(trial, world), world, engine)
            difference = got.difference(expected)
            facts.equal(f"{name}, engine", got.engine, engine)
            facts.check(f"{name}, off by", f"{difference:.1e}", difference < 1e-9)
            facts.equal(f"{name}, notes and warnings", [*got.notes, *got.warnings], [])
        dist.destroy_process_group()


def of_a_rank(world: ProcessGroup, is_rehearsal: bool) -> dict[str, Any]:
    """Return what one of several ranks finds, by model."""
    card = Card.here(is_rehearsal=is_rehearsal)
    assert card.device == world.device
    found = {}
    for model in card.either(_MODELS, (MIXER,)):
        trial = small_trial(model, epochs=4, optimizer=SGD)
        found[str(model["name"])] = train(trial, resident(trial, world), world, "eager").figures
    return found
