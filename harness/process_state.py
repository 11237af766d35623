"""Settings of this process that a user's code may change: torch's, the folder, signals, random states.

Imports neither torch nor NumPy: what is not loaded has no state.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

# Launchers, thread pools and CUDA read them when a worker starts, or at their first use.
_VARIABLES = (
    *("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "OMP_NUM_THREADS", "MKL_NUM_THREADS"),
    *("MASTER_ADDR", "MASTER_PORT", "RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "PYTHONPATH"),
)

# Torch's own settings, unchanged; the number of threads depends on the machine.
_AS_IMPORTED = {
    "default device": None,
    "gradients": True,
    "anomalies": False,
    "products": "highest",
    "deterministic": (False, False),
    "cudnn.benchmark": False,
    "cudnn.deterministic": False,
    "cudnn.enabled": True,
}

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)

Undo = Callable[[], object]

# Folders that user code has added to the import path; they are ignored when its sources are located.
added_folders: set[str] = set()


@contextmanager
def restored(*, random_states: bool = True) -> Iterator[None]:
    """Restore the process's settings afterwards, also after an error; with `random_states` these, too."""
    undo = [_directory(), _variables(), _signal_handlers(), _torch_settings(), _import_path()]
    if random_states:
        undo += [_python_random(), _numpy_random(), _torch_random()]
    try:
        yield
    finally:
        for each in undo:
            each()


def _directory() -> Undo:
    try:
        folder = os.getcwd()
    except OSError:  # it was removed
        return _nothing

    def undo() -> None:
        with suppress(OSError):  # it was removed meanwhile
            os.chdir(folder)

    return undo


def _import_path() -> Undo:
    """Note the folders that are added to the import path; they stay, as later imports need them."""
    before = set(sys.path)
    return lambda: added_folders.update(set(sys.path) - before)


def _variables() -> Undo:
    before = {name: os.environ.get(name) for name in _VARIABLES}

    def undo() -> None:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            elif os.environ.get(name) != value:
                os.environ[name] = value

    return undo


def _signal_handlers() -> Undo:
    if threading.current_thread() is not threading.main_thread():
        return _nothing  # another cannot change them
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def undo() -> None:
        for number, handler in before.items():
            if handler is not None and signal.getsignal(number) != handler:  # None: not set by Python
                signal.signal(number, handler)

    return undo


def _torch_settings() -> Undo:
    torch = sys.modules.get("torch")
    before = _found(torch) if torch else None

    def undo() -> None:
        if torch := sys.modules.get("torch"):
            _put_back(torch, before or _AS_IMPORTED | {"default dtype": torch.float32})

    return undo


def _found(torch: Any) -> dict[str, Any]:
    return {name: read() for name, (read, _) in _settings(torch).items()}


def _put_back(torch: Any, before: dict[str, Any]) -> None:
    for name, (read, write) in _settings(torch).items():
        if name in before and read() != before[name]:
            write(before[name])


def _settings(torch: Any) -> dict[str, tuple[Callable[[], Any], Callable[[Any], object]]]:
    """Return how each of torch's settings is read and written."""
    cudnn = torch.backends.cudnn
    flags = {
        f"cudnn.{name}": (
            lambda name=name: getattr(cudnn, name),
            lambda value, name=name: setattr(cudnn, name, value),
        )
        for name in ("benchmark", "deterministic", "enabled")
    }
    return flags | {
        "default dtype": (torch.get_default_dtype, torch.set_default_dtype),
        "default device": (lambda: _default_device(torch), torch.set_default_device),
        "gradients": (torch.is_grad_enabled, torch.set_grad_enabled),
        "anomalies": (torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
        "products": (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
        "deterministic": (
            lambda: (
                torch.are_deterministic_algorithms_enabled(),
                torch.is_deterministic_algorithms_warn_only_enabled(),
            ),
            lambda value: torch.use_deterministic_algorithms(value[0], warn_only=value[1]),
        ),
        "threads": (torch.get_num_threads, torch.set_num_threads),
    }


def _default_device(torch: Any) -> Any:
    """Return what `set_default_device` was last called with, None if it never was.

    `get_default_device` returns the CPU in both cases, but a default that is set slows every call down.
    """
    context = getattr(getattr(torch, "_GLOBAL_DEVICE_CONTEXT", None), "device_context", None)
    return context.device if context else None


def _python_random() -> Undo:
    state = random.getstate()
    return lambda: random.setstate(state)


def _numpy_random() -> Undo:
    if numpy := sys.modules.get("numpy.random"):
        state = numpy.get_state()
        return lambda: numpy.set_state(state)
    return _nothing


def _torch_random() -> Undo:
    if torch := sys.modules.get("torch"):
        state = torch.random.get_rng_state()
        return lambda: torch.random.set_rng_state(state)
    return _nothing


def _nothing() -> None:
    pass
