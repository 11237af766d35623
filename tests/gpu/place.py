"""Part `where`: on what the rest was found."""

from __future__ import annotations

import datetime
import importlib.util
import platform
import subprocess

import torch

from harness.results import provenance
from tests.gpu.card import Card
from tests.gpu.facts import Facts

_QUERY = "name,driver_version,memory.total,clocks.sm,clocks.max.sm,power.limit"


def where(card: Card, facts: Facts) -> None:
    """Take down the date, the commit, the card, its driver and the versions."""
    facts.note("date", datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"))
    facts.note("commit", provenance.commit())
    facts.note("python", platform.python_version())
    facts.note("torch", torch.__version__)
    has_triton = importlib.util.find_spec("triton") is not None
    facts.note("triton", importlib.import_module("triton").__version__ if has_triton else None)
    if card.is_rehearsal:
        facts.note("card", "none: a rehearsal")
        return
    found = subprocess.run(
        ["nvidia-smi", f"--query-gpu={_QUERY}", "--format=csv,noheader"],
        capture_output=True,
        text=True,
        check=False,
    )
    facts.note(_QUERY, found.stdout.strip() or found.stderr.strip())
    properties = torch.cuda.get_device_properties(card.device)
    facts.note(
        "card",
        f"{properties.name}, {properties.total_memory / 2**30:.1f} GiB, "
        f"{properties.multi_processor_count} multiprocessors, "
        f"capability {properties.major}.{properties.minor}",
    )
    facts.note("CUDA", torch.version.cuda)
    facts.note("cuDNN", torch.backends.cudnn.version())  # type: ignore[no-untyped-call]
    facts.note("NCCL", ".".join(map(str, torch.cuda.nccl.version())))  # type: ignore[no-untyped-call]
    is_exact = torch.are_deterministic_algorithms_enabled() and not torch.backends.cuda.matmul.allow_tf32
    facts.equal("torch computes exactly", is_exact, True)
