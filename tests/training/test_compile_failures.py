"""What cannot be compiled goes on by graphs, or eagerly, and the user is told why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from harness.training.compiled import Compiled
from harness.training.distributed import ProcessGroup
from harness.training.engine import Eager, Engine, Graph
from harness.training.engine_choice import engine_for
from harness.training.graph_capture import Work
from harness.training.prepared_trial import prepare
from tests.support.calls import Calls
from tests.support.compilations import Backend, Compilations, Runner
from tests.support.ranks import ALONE
from tests.support.traced import RepeatingRecorder
from tests.support.trials import figures, figures_alone, resident, small_trial, train
from tests.training.conftest import CompileBy

pytestmark = pytest.mark.usefixtures("not_spoiled")


class _Odd(nn.Module):
    """Cannot be compiled, or differs from step to step."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.passes = how, 0
        self.linear, self.dropout = nn.Linear(64, 10), nn.Dropout(0.3)

    def forward(self, x: Tensor) -> Tensor:
        x, self.passes = x.flatten(1), self.passes + (self.how == "counts")
        if self.how == "breaks":
            Path.cwd().exists()
        if self.how == "recomputes":
            out: Tensor = checkpoint(self._out, x, use_reentrant=False)
            return out
        return self._out(x) * (1 if self.passes < 10**6 else 2)

    def _out(self, x: Tensor) -> Tensor:
        out: Tensor = self.dropout(self.linear(x))
        return out


def odd(image_shape: tuple[int, ...], num_classes: int, *, how: str) -> nn.Module:
    """Build such a model."""
    return _Odd(how)


def _no_compiler(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Runner:
    raise ValueError("found no compiler\nthere is more to say")


@pytest.mark.parametrize(
    ("how", "backend", "reason"),
    [
        ("breaks", None, ""),
        ("counts", None, "each step would be compiled anew"),
        ("recomputes", None, ""),
        ("is plain", _no_compiler, "found no compiler"),
    ],
)
def test_what_cannot_be_compiled_goes_on_by_graphs_with_one_line(
    how: str, backend: Backend | None, reason: str, tmp_path: Path, compile_by: CompileBy
) -> None:
    trial = small_trial({"name": "tests.training.test_compile_failures:odd", "how": how}, epochs=3)
    eager, notes = figures_alone(trial, tmp_path / "eager"), list[str]()
    compile_by(backend or Compilations())
    path, calls = tmp_path / "compiled", Calls(on_note=notes.append)
    found = train(trial, resident(trial, ALONE), ALONE, path, calls)
    assert found.engine == "graph"
    assert len(notes) == 1
    assert "\n" not in notes[0]
    assert notes[0].startswith(f"engine: graph, because this trial cannot be compiled: {reason}")
    assert figures(found.epochs) == eager


def test_a_lack_of_memory_ends_the_trial(tmp_path: Path, compile_by: CompileBy) -> None:
    def full(*_: object) -> Any:
        def run(*_: object) -> Any:
            raise torch.OutOfMemoryError("a made-up lack of memory")

        return run

    compile_by(full)
    trial = small_trial()
    with pytest.raises(torch.OutOfMemoryError):
        train(trial, resident(trial, ALONE), ALONE, tmp_path / "one")


def test_what_cannot_be_captured_is_executed_eagerly_and_compiled_as_before(
    tmp_path: Path, compile_by: CompileBy
) -> None:
    """Its steps would round otherwise from then on."""

    class Waiting(RepeatingRecorder):
        def rehearse(self, work: Work) -> tuple[Tensor, str | None]:
            return work(), "the host waits"

    engines = compile_by(Compilations(), Waiting())
    trial, notes = small_trial(), list[str]()
    outcome = train(trial, resident(trial, ALONE), ALONE, tmp_path / "one", Calls(on_note=notes.append))
    assert outcome.engine == "compiled"
    assert notes == ["engine: eager, because this trial cannot be captured: the host waits"]
    assert engines[0].engine.name == "eager"


def test_only_a_trial_of_one_rank_whose_model_draws_nothing_is_compiled() -> None:
    notes: list[str] = []
    trial = small_trial()
    step = prepare(trial, resident(trial, ALONE), ALONE).step

    def engine(**facts: bool) -> Engine:
        return engine_for(step, "compiled", notes.append, full_batch=16, **facts)

    assert isinstance(engine(), Compiled)
    assert isinstance(engine(is_own_optimizer=True), Eager)
    assert isinstance(engine(may_draw=True), Graph)
    step.shard.world = ProcessGroup(0, 2, torch.device("cpu"))
    assert isinstance(engine(), Graph)
    assert notes == [
        "engine: eager, because an optimizer of your own may count its steps on the host",
        "engine: graph, because only a trial without allow_rank_dependent is compiled",
        "engine: graph, because only a trial trained by one rank is compiled",
    ]
