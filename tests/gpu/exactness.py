"""Parts `right` and `same_bits`: a card finds what a CPU finds, and the same bits each time."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from harness.config.suite import Trial
from harness.results.record import EngineName
from harness.training import checkpoint_policy
from harness.training.callbacks import Callbacks
from harness.training.checkpoint_policy import CheckpointAction
from harness.training.dataloader import ResidentDataset
from harness.training.distributed import alone
from harness.training.rng import keep_mask, positions, step_key
from tests.gpu.card import CPU, EXP_3, SGD, Card
from tests.gpu.facts import Facts
from tests.gpu.training import Trained, train, train_all
from tests.support.calls import Calls
from tests.support.trials import CONVNET, MIXER, MLP, resident, small_trial

# On a GPU these two compute their corrections from float32 counters, whatever the weights are: powers of
# nearly one less one, which RAdam's rectification takes the difference of once more.
_COARSE = {"NAdam": 1e-5, "RAdam": 1e-3}
# The gradient of a bias before a norm is rounding alone. eps keeps these from dividing it by its own size.
_WITH_EPS = ("Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adamax", *_COARSE)
_OPTIMIZERS = [SGD, {"name": "ASGD", "lr": 0.01}]
_OPTIMIZERS += [{"name": name, "lr": 0.01, "eps": 1e-3} for name in _WITH_EPS]
_HALVED = {"name": "StepLR", "step_size": 4, "gamma": 0.5}
_EACH_EPOCH = {"name": "ExponentialLR", "gamma": 0.9}


def right(card: Card, facts: Facts) -> None:
    """Compare a card with a CPU: float64 for every optimizer, model, engine; dropout's masks bit for bit."""
    _masks(card, facts)
    for model in (MIXER, CONVNET, MLP):
        for optimizer in card.either(_OPTIMIZERS, [SGD]):
            trial = small_trial(model, epochs=card.either(8, 3), optimizer=optimizer, scheduler=_HALVED)
            expected = train(trial, resident(trial, alone(CPU)), alone(CPU), "eager")
            engines: tuple[EngineName, ...] = ("eager", "graph")
            # Compiling takes long, and the optimizer has no part in it.
            for engine in (*engines, "compiled") if optimizer is SGD else engines:
                found = train(trial, resident(trial, card.alone), card.alone, engine)
                _compare(
                    card, facts, f"{model['name']} {optimizer['name']} {engine}", engine, found, expected
                )


def _compare(
    card: Card, facts: Facts, name: str, engine: EngineName, found: Trained, expected: Trained
) -> None:
    optimizer = name.split()[1]
    limit = 1e-9 if card.is_rehearsal else _COARSE.get(optimizer, 1e-9)
    difference = found.difference(expected, of_losses=limit > 1e-9)
    facts.check(f"{name}, figures off by", f"{difference:.1e}", difference < limit)
    counts_on_host = optimizer == "Adagrad" and not card.is_rehearsal  # so it cannot be captured
    facts.equal(f"{name}, engine", found.engine, "eager" if counts_on_host else engine)
    facts.equal(f"{name}, notes", len(found.notes), int(counts_on_host and engine == "graph"))
    facts.equal(f"{name}, warnings", found.warnings, [])


def _masks(card: Card, facts: Facts) -> None:
    for key, first_row, rows, features in ((0x1234567890ABCDEF, 0, 128, 256), (2**63 - 1, 100_000, 7, 33)):
        here, there = (positions(key, first_row, rows, features, each) for each in (CPU, card.device))
        is_same = torch.equal(here, there.cpu())
        for step in (0, 1, 12_345, 2**31, 2**40 + 3):
            for p in (1e-9, 0.1, 0.5, 0.999, 1 - 1e-12):
                masks = (keep_mask(hashed, torch.tensor(step_key(step)), p).cpu() for hashed in (here, there))
                is_same &= torch.equal(*masks)
        facts.equal(f"dropout's masks of {rows} x {features} are the CPU's", is_same, True)


def same_bits(card: Card, facts: Facts) -> None:
    """Train a trial in many ways, broken off three times or with data on the host: always the same bits."""
    for precision in card.either(("fp32", "tf32", "bf16"), ("bf16",)):
        trials = [card.trial(EXP_3, precision, seed, epochs=3, scheduler=_EACH_EPOCH) for seed in (3, 4, 5)]
        data = card.data(trials[0])
        whole, again = (train(trials[0], data, card.alone, "graph") for _ in range(2))
        eager = train(trials[0], data, card.alone, "eager")
        beside = train_all(trials, data, card.alone, "graph")[0]
        facts.equal(f"{precision} engine", whole.engine, "graph")
        facts.equal(f"{precision} notes and warnings", [*whole.notes, *whole.warnings], [])
        facts.note(f"{precision} graph and eager differ by", f"{whole.difference(eager):.1e}")
        on_host = card.data(trials[0], data_on="host")
        staged = train_all(trials, on_host, card.alone, "graph")[0]
        off, is_left = broken_off(trials[0], data, card, "graph")
        facts.equal(f"{precision} was left each time", is_left, True)
        for name, found in {
            "twice": again,
            "eagerly": eager,
            "beside two others": beside,
            "from the host's memory, eagerly": train(trials[0], on_host, card.alone, "eager"),
            "from the host's memory, beside two others": staged,
            "broken off three times": off,
        }.items():
            facts.equal(f"{precision} the same bits {name}", found.is_bitwise(whole), True)


def broken_off(trial: Trial, data: ResidentDataset, card: Card, engine: EngineName) -> tuple[Trained, bool]:
    """Leave the trial within its first, second and third epoch; return its end, and whether it was left."""
    steps = -(-len(data.train) // trial.settings.training.batch_size)
    setattr(checkpoint_policy, "_SECONDS", 0.0)  # noqa: B010 (the wish is asked for at every step)
    with TemporaryDirectory() as folder:
        lefts = [
            train(trial, data, card.alone, engine, Path(folder) / "one", _until(epoch * steps + steps // 3))
            for epoch in range(3)
        ]
        end = train(trial, data, card.alone, engine, Path(folder) / "one", Calls())
    return end, all(each.outcome is None for each in lefts)


def _until(last: int) -> Callbacks:
    """Return a watcher that wants to stop after so many steps of the trial."""
    taken = [0]

    def on_step(number: int, _: torch.Tensor) -> None:
        taken[0] = number + 1

    return Calls(
        on_step=on_step,
        on_boundary=lambda saving: CheckpointAction.STOP if taken[0] >= last else CheckpointAction.GO_ON,
    )
