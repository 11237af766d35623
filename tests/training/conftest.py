"""Trials that are executed as traced graphs, or compiled; a process that no broken capture has spoiled."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.training import device, prepared_trial
from harness.training.compiled import Compiled
from harness.training.engine import Graph
from harness.training.graph_capture import Recorder
from harness.training.step import Step
from tests.support.compilations import Backend, compiling
from tests.support.traced import TracingRecorder


@pytest.fixture
def not_spoiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no test's broken capture spoil the process for others."""
    monkeypatch.setattr(device._Process, "is_spoiled", False)


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> list[Graph]:
    """Have every trial executed as traced graphs; return their engines."""
    made: list[Graph] = []

    def traced(step: Step, requested: object, tell: Callable[[str], None], **_: object) -> Graph:
        made.append(Graph(step, TracingRecorder(step), tell))
        return made[-1]

    monkeypatch.setattr(prepared_trial, "engine_for", traced)
    return made


CompileBy = Callable[..., list[Compiled]]


@pytest.fixture
def compile_by(monkeypatch: pytest.MonkeyPatch) -> CompileBy:
    """Return a function that has every trial compiled by a backend; it returns their engines."""

    def choose(backend: Backend, recorder: Recorder | None = None) -> list[Compiled]:
        made: list[Compiled] = []
        monkeypatch.setattr(prepared_trial, "engine_for", compiling(backend, made, recorder))
        return made

    return choose
