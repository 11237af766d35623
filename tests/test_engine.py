"""Engines: what is captured computes what is executed, and what cannot be captured is executed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from harness.training import loop
from harness.training.engine import Graph
from harness.training.step import Step
from harness.training.world import World
from tests.traced import tracing

ALONE = World(0, 1, torch.device("cpu"))
CONVNET = {"name": "convnet", "channels": [6, 8], "dropout": 0.3}
MLP = {"name": "mlp", "hidden": [20, 12], "dropout": 0.4}


@pytest.fixture
def captured(monkeypatch: pytest.MonkeyPatch) -> list[Graph]:
    """Have every trial executed as graphs that were traced; return their engines."""
    engines: list[Graph] = []

    def engine_for(step: Step, requested: object, tell: Callable[[str], None]) -> Graph:
        engines.append(Graph(step, tracing(step), tell))
        return engines[-1]

    monkeypatch.setattr(loop, "engine_for", engine_for)
    return engines
