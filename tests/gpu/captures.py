"""Parts `fallbacks` and `recordings`: what cannot be captured is executed; what can be is recorded once."""

from __future__ import annotations

from harness.training.device import is_spoiled
from tests.gpu.card import EXP_3, SGD, Card
from tests.gpu.engines import counted_recordings, forget_broken_captures
from tests.gpu.facts import Facts
from tests.gpu.training import train
from tests.support.trials import MIXER, resident, small_trial


def fallbacks(card: Card, facts: Facts) -> None:
    """Train what cannot be captured, eagerly and saying so once, and after it what can be."""
    # The last breaks within a capture; after that a process is to begin no other trial (part `wrong`).
    for how, falls_back in {"item": True, "random": False, "synchronize": card.either(True, False)}.items():
        model = {"name": "tests.gpu.models:waiting", "how": how}
        trial = small_trial(model, precision="fp32", epochs=4, optimizer=SGD, allow_rank_dependent=True)
        with facts.survives(how):
            found = train(trial, resident(trial, card.alone), card.alone, "graph")
            facts.equal(f"{how}, engine", found.engine, "eager" if falls_back else "graph")
            facts.check(f"{how}, notes", found.notes, len(found.notes) == falls_back)
            facts.note(f"{how}, its process goes on", not is_spoiled())
            if card.is_rehearsal:
                forget_broken_captures()
            if how != "synchronize":
                good = small_trial(MIXER, precision="fp32", epochs=4)
                after = train(good, resident(good, card.alone), card.alone, "graph")
                facts.equal(f"a trial after {how}, engine", after.engine, "graph")


def recordings(card: Card, facts: Facts) -> None:
    """Count what is recorded of a trial: each cut once, though the rate changes each epoch."""
    changes = {"name": "ExponentialLR", "gamma": 0.9}
    for scheduler in card.either(
        (None, changes), (None,)
    ):  # on a CPU a rate is a number, which a graph holds
        name = "a rate that changes each epoch" if scheduler else "a constant rate"
        trial = card.trial(EXP_3, "fp32", epochs=card.either(8, 4), scheduler=scheduler)
        with counted_recordings() as count:
            found = train(trial, card.data(trial), card.alone, "graph")
        facts.equal(f"{name}, engine", found.engine, "graph")
        # Full batches, the last one of an epoch, and the test set's.
        facts.equal(f"{name}, graphs recorded", len(count), 3)
