"""What a user's code changes of the process is put back."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from harness.errors import ModelError
from harness.user_code import calling
from tests.support import ROOT


def settings() -> list[object]:
    return [
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch._GLOBAL_DEVICE_CONTEXT.__dict__.get("device_context"),
        torch.is_grad_enabled(),
        torch.is_anomaly_enabled(),
        torch.get_float32_matmul_precision(),
        torch.are_deterministic_algorithms_enabled(),
        torch.backends.cudnn.benchmark,
        torch.get_num_threads(),
        torch.get_rng_state().tolist(),
        random.getstate(),
        repr(np.random.get_state()),
        os.getcwd(),
        signal.getsignal(signal.SIGTERM),
        os.environ.get("CUDA_VISIBLE_DEVICES"),
        os.environ.get("MASTER_PORT"),
    ]


def change_everything(folder: Path) -> None:
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    torch.set_grad_enabled(False)
    torch.autograd.set_detect_anomaly(True)
    torch.set_float32_matmul_precision("medium")
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = True
    torch.set_num_threads(torch.get_num_threads() + 1)
    torch.manual_seed(5)
    random.seed(5)
    np.random.seed(5)
    os.chdir(folder)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.environ["CUDA_VISIBLE_DEVICES"] = "7"
    os.environ["MASTER_PORT"] = "1"


@pytest.mark.parametrize("how", ["returns", "raises", "is removed"])
def test_what_it_changes_of_the_process_is_put_back(tmp_path: Path, how: str) -> None:
    before = settings()
    (tmp_path / "folder").mkdir()
    try:
        with calling("model 'own:net'"):
            warnings.filterwarnings("ignore", message="of the user's")
            change_everything(tmp_path / "folder")
            if how == "is removed":
                (tmp_path / "folder").rmdir()
            if how == "raises":
                raise SystemExit
    except ModelError:
        assert how == "raises"
    assert settings() == before


def test_a_default_device_that_was_set_before_is_kept() -> None:
    try:
        torch.set_default_device("meta")
        with calling("model 'own:net'"):
            torch.set_default_device("cpu")
        assert torch.zeros(1).is_meta
    finally:
        torch.set_default_device(None)


def test_the_users_filters_of_warnings_stay() -> None:
    with warnings.catch_warnings():
        with calling("model 'own:net'"):
            warnings.filterwarnings("ignore", message="of the user's")
        warnings.warn("of the user's", stacklevel=1)


def test_random_states_move_on_where_they_are_asked_to() -> None:
    state = random.getstate()
    with calling("model 'own:net'", random_states=False):
        random.random()
    assert random.getstate() != state


@pytest.mark.e2e
def test_torch_is_loaded_by_the_user_alone_and_then_as_new() -> None:
    script = """
import sys
from harness.user_code import calling
with calling("tracker 'own:log'"):
    pass
assert "torch" not in sys.modules
with calling("model 'own:net'"):
    import torch
    torch.set_default_dtype(torch.float64)
    torch.set_grad_enabled(False)
print(torch.get_default_dtype(), torch.is_grad_enabled())
"""
    found = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout == "torch.float32 True\n"
