"""Files that a benchmark leaves, in results/bench/<device>/, and the machine that they name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from harness.config.suite import Suite
from harness.results import provenance
from harness.results.atomic_files import write_whole
from harness.runner.bench.grid import Machine
from harness.training.distributed import RunRanks


def machine_of(run_ranks: RunRanks) -> Machine:
    """Return the hardware that these ranks measure."""
    return Machine(
        device=provenance.device_name(run_ranks.device),
        is_gpu=run_ranks.device.type == "cuda",
        ranks=run_ranks.world_size,
        cores=provenance.cores(),
    )


def made(suite: Suite, machine: Machine) -> str:
    """Return a sentence on the hardware, versions and time."""
    versions = provenance.versions()
    place = f"{machine.ranks} x" if machine.is_gpu else f"{machine.cores} cores of"
    return (
        f"Measured {provenance.now()} on {place} {machine.device}; dataset "
        f"{suite.dataset.title}; torch {versions.torch}; commit {(versions.commit or 'unknown')[:8]}."
    )


def write(results: Path, machine: Machine, files: Mapping[str, str]) -> None:
    """Write the files, and print the last, a table, with its path."""
    slug = re.sub(r"\(\w*\)|[^A-Za-z0-9]", " ", machine.device).split()
    folder = results / "bench" / "-".join(slug).lower()
    for name, text in files.items():
        write_whole(folder / name, text.encode())
    print(f"{text}\n({folder / name})")  # noqa: T201
