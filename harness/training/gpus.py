"""The GPUs of this machine: which can compute, and why others cannot.

torch also counts GPUs whose driver is too old, that its wheel does not support, or that another process holds
exclusively. Run as a program, this module tests one device, so that its caller creates no CUDA context.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

_VISIBLE = "CUDA_VISIBLE_DEVICES"
_FOR_NO_GPU = ("-1", "NoDevFiles")  # the latter is set by SLURM for a job without GPUs
_SECONDS = 120.0


@dataclass(frozen=True)
class Gpus:
    """The fault of each GPU, empty if it works; `reason` says why torch counts none, if known."""

    faults: tuple[str, ...]
    reason: str = ""

    @property
    def working(self) -> list[int]:
        """List the GPUs that work."""
        return [number for number, fault in enumerate(self.faults) if not fault]

    @property
    def why(self) -> str:
        """Return the fault of the first GPU that does not work, or why there is none."""
        broken = [f"GPU {number}: {fault}" for number, fault in enumerate(self.faults) if fault]
        return broken[0] if broken else self.reason

    def visible(self, env: Mapping[str, str]) -> str | None:
        """Return a CUDA_VISIBLE_DEVICES that shows only the working GPUs; None if it need not change."""
        if len(self.working) == len(self.faults) and not self.reason:
            return None  # with a reason, the workers would report it once more
        names = env[_VISIBLE].split(",") if _VISIBLE in env else list(map(str, range(len(self.faults))))
        return ",".join(names[number] for number in self.working)


def count(env: Mapping[str, str]) -> tuple[int, str]:
    """Return how many GPUs torch counts, and why it counts no more, if a user may expect more."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        number = torch.cuda.device_count()
    visible = env.get(_VISIBLE, "").strip()
    named = visible.split(",") if visible else []
    names = list(itertools.takewhile(lambda name: name not in _FOR_NO_GPU, named))
    if len(names) > number:
        return number, f"{_VISIBLE} is {visible!r}, of which torch can see {number or 'none'}"
    if number or visible:
        return number, ""
    return 0, _first_line(str(caught[-1].message)) if caught else ""


def find(env: Mapping[str, str]) -> Gpus:
    """Test each GPU that torch counts, in other processes."""
    number, reason = count(env)
    return Gpus(tuple(_tried([f"cuda:{each}" for each in range(number)])), reason)


def why_none(env: Mapping[str, str]) -> str:
    """Return why torch counts no GPU, also if no user may expect one."""
    if env.get(_VISIBLE) in ("", *_FOR_NO_GPU):
        return f"{_VISIBLE} is {env[_VISIBLE]!r}"
    return count(env)[1] or _tried(["cuda"])[0]


def have_torch_warn_unheard() -> None:
    """Trigger torch's warning about a driver that it cannot use, and suppress it.

    torch warns once per process; on a CPU, too, in the first backward pass at the latest.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.cuda.is_available()


def fault_of(device: torch.device) -> str:
    """Run a tiny computation on a device; return torch's error if that fails, else an empty string."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about a card that is too old: the error says so, too
            return "" if torch.ones(2, device=device).sum().item() == 2 else "it computes 1 + 1 wrongly"
    except (RuntimeError, AssertionError) as error:
        return _first_line(str(error)) or type(error).__name__


def _tried(devices: Sequence[str]) -> list[str]:
    """Return the fault of each device, tested in its own process: one that hangs affects no other."""
    command = [sys.executable, "-m", __name__]
    pipe = subprocess.PIPE
    tries = [subprocess.Popen([*command, name], stdout=pipe, stderr=pipe, text=True) for name in devices]
    until = time.monotonic() + _SECONDS
    return [_ended(each, until - time.monotonic()) for each in tries]


def _ended(process: subprocess.Popen[str], seconds: float) -> str:
    try:
        output, errors = process.communicate(timeout=max(seconds, 0))
        fault: str = json.loads(output.strip().rpartition("\n")[2])
    except subprocess.TimeoutExpired:
        process.kill()
        return f"a tiny computation did not end within {_SECONDS:.0f} s"
    except ValueError:
        last = errors.strip().rpartition("\n")[2]
        return f"a tiny computation ended with exit code {process.returncode}: {last}"
    return fault


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]


if __name__ == "__main__":
    os.write(1, f"\n{json.dumps(fault_of(torch.device(sys.argv[1])))}\n".encode())
