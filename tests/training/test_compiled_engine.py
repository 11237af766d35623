"""Compiled trials: one graph a number of rows, and what an eager trial finds.

The backends generate no code: `eager` executes the operations of the forward, `aot_eager` those of the
backward too.
"""

from __future__ import annotations

import gc
import itertools
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.config.suite import Trial
from harness.training.checkpoint_policy import CheckpointAction
from harness.training.prepared_trial import prepare
from harness.training.trainer import Outcome
from tests.support.calls import Calls
from tests.support.compilations import Backend, Compilations, Runner
from tests.support.ranks import ALONE
from tests.support.trials import (
    CONVNET,
    MIXER,
    MLP,
    SHIPPED,
    course,
    figures,
    places,
    resident,
    small_trial,
    train,
)
from tests.training.conftest import CompileBy

pytestmark = pytest.mark.usefixtures("not_spoiled")

RESNET = {"name": "torchvision:resnet18"}
ACCUMULATED = {"accumulate": 3, "clip_grad_norm": 0.5}  # parts of 5, 5 and 6 rows
AUGMENTED = {"augment": [{"name": "mixup", "alpha": 0.4}]}


def _weights(outcome: Outcome) -> list[Tensor]:
    return list(outcome.model.state_dict().values())


def _both(trial: Trial, backend: Backend, compile_by: CompileBy, path: Path) -> tuple[Outcome, Outcome]:
    """Train it eagerly and compiled; return both outcomes."""
    eager, notes = train(trial, resident(trial, ALONE), ALONE, path / "eager"), list[str]()
    compile_by(backend)
    data, calls = resident(trial, ALONE), Calls(on_note=notes.append)
    compiled = train(trial, data, ALONE, path / "compiled", calls)
    assert (compiled.engine, notes) == ("compiled", [])
    return eager, compiled


@pytest.mark.parametrize(
    ("model", "precision", "training", "row_counts"),
    [
        (MIXER, "fp64", {}, 1),
        (MLP, "fp64", {}, 1),
        (MLP, "bf16", {}, 1),
        (MLP, "fp64", ACCUMULATED, 2),
        (CONVNET, "fp64", AUGMENTED, 1),
        pytest.param(SHIPPED["vit_tiny"], "bf16", {}, 1, marks=pytest.mark.e2e),
        pytest.param(RESNET, "fp32", {}, 1, marks=pytest.mark.e2e),
    ],
    ids=lambda each: each["name"] if isinstance(each, dict) and "name" in each else None,
)
def test_a_compiled_trial_has_an_eager_ones_bits_and_one_compilation_a_number_of_rows(
    model: dict[str, Any],
    precision: str,
    training: dict[str, Any],
    row_counts: int,
    tmp_path: Path,
    compile_by: CompileBy,
) -> None:
    if model is RESNET:
        pytest.importorskip("torchvision")
    trial, compilations = small_trial(model, precision=precision, **training), Compilations()
    eager, compiled = _both(trial, compilations, compile_by, tmp_path)
    assert len(compilations) == row_counts
    assert figures(compiled.epochs) == figures(eager.epochs)
    pairs = zip(_weights(compiled), _weights(eager), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)


@pytest.mark.e2e
@pytest.mark.parametrize("model", [MIXER, MLP, CONVNET], ids=lambda each: each["name"])
def test_a_backward_of_its_own_changes_nothing_but_rounding(
    model: dict[str, Any], tmp_path: Path, compile_by: CompileBy
) -> None:
    eager, compiled = _both(small_trial(model), Compilations("aot_eager"), compile_by, tmp_path)
    assert figures(compiled.epochs) == pytest.approx(figures(eager.epochs), rel=1e-9)
    for found, expected in zip(_weights(compiled), _weights(eager), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


def test_masks_are_an_eager_ones_at_every_step_and_depend_on_tensors_alone(compile_by: CompileBy) -> None:
    trial, compilations = small_trial(MLP), Compilations()
    data = resident(trial, ALONE)
    eager = prepare(trial, data, ALONE)
    compile_by(compilations)
    compiled = prepare(trial, data, ALONE)
    for batch in list(data.train.train_shares(3, 1, 16, ALONE))[:4]:
        gradients = []
        for prepared in (eager, compiled):
            prepared.step.model.train()
            prepared.engine.train(batch)
            found = [each.grad for each in prepared.step.model.parameters()]
            gradients.append(torch.cat([each.flatten() for each in found if each is not None]))
        assert torch.equal(*gradients)
    (graph,) = compilations
    integers = [
        each.meta["example_value"].shape
        for each in graph.graph.nodes
        if each.op == "placeholder" and each.meta["example_value"].dtype == torch.int32
    ]
    assert sorted(map(tuple, integers)) == [(1,), (16, 12), (16, 20)]  # the step's key, and the positions


def test_trials_that_differ_in_their_seeds_have_one_graph_and_no_limit_in_number(
    tmp_path: Path, compile_by: CompileBy
) -> None:
    compilations = Compilations()
    compile_by(compilations)
    with torch._dynamo.config.patch(recompile_limit=1):  # of one and the same code
        for seed in (3, 4):
            trial = small_trial(MLP, seed)
            outcome = train(trial, resident(trial, ALONE), ALONE, tmp_path / str(seed))
            assert outcome.engine == "compiled"
    one, other = compilations  # torch keeps what it generates by the graph
    assert one.code == other.code


def test_a_trial_that_stops_within_epochs_ends_with_the_same_bits(
    tmp_path: Path, compile_by: CompileBy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def negating(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Runner:
        return lambda *given: tuple(-each for each in graph(*given))  # no pass of the plain model goes unseen

    monkeypatch.setattr("harness.training.checkpoint_policy._SECONDS", 0.0)  # a boundary after every step
    compile_by(negating)
    trial = small_trial(MLP)
    data, stops = resident(trial, ALONE), 0
    whole = train(trial, data, ALONE, tmp_path / "whole")
    # The first goes on with the last batch of an epoch, a smaller one.
    wishes = itertools.cycle([*[CheckpointAction.GO_ON] * 4, CheckpointAction.STOP])
    callbacks = Calls(on_boundary=lambda _: next(wishes))
    while (outcome := course(trial, data, ALONE, places(tmp_path / "one"), callbacks)) is None:
        stops += 1
    assert stops >= 2
    assert figures(outcome.epochs) == figures(whole.epochs)
    assert all(torch.equal(*pair) for pair in zip(_weights(outcome), _weights(whole), strict=True))


def test_a_compiled_trial_leaves_nothing_behind(tmp_path: Path, compile_by: CompileBy) -> None:
    made = compile_by(Compilations().backend)
    trial = small_trial(MLP)
    outcome = train(trial, resident(trial, ALONE), ALONE, tmp_path / "one")
    model = weakref.ref(outcome.model)
    made.clear()
    del outcome
    gc.collect()
    assert model() is None
