"""Start of `harness bench` and `scale`: their ranks on this machine, or one of torchrun's workers joined."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace

from harness.results import provenance
from harness.runner.bench import benchmark, scale
from harness.runner.bench.scale_grid import powers_of_two
from harness.runner.launch import handover, launcher, torchrun
from harness.runner.launch.launcher import Environment
from harness.runner.launch.worker_process import set_up
from harness.runner.request import Request, check
from harness.tracking.console import say
from harness.training import distributed


def bench(request: Request, nproc: int | None, seconds: float, argv: Sequence[str], env: Environment) -> None:
    """Measure the speed of every execution of the suite on this machine's ranks."""
    if "TORCHELASTIC_RUN_ID" in env:
        with _joined(request, env) as run_ranks:
            benchmark.measure(request.absolute(), run_ranks, seconds, env)
    else:
        _start(request, torchrun.ranks_here(nproc, request.device, None, env), argv, env)


def scaling(
    request: Request, worlds: Sequence[int], seconds: float, argv: Sequence[str], env: Environment
) -> None:
    """Measure how one trial of each experiment scales over so many ranks; none: powers of two."""
    if "TORCHELASTIC_RUN_ID" in env:
        with _joined(request, env) as run_ranks:
            sizes = worlds or powers_of_two(run_ranks.world_size)
            scale.measure(request.absolute(), run_ranks, sizes, seconds, env)
        return
    ranks = torchrun.ranks_here(max(worlds, default=None), request.device, None, env)
    if not worlds:
        ranks = replace(ranks, count=powers_of_two(ranks.count)[-1])
    if not ranks.gpus and ranks.count > (cores := provenance.cores()):
        say(
            f"{ranks.count} ranks on {cores} cores: they take turns, and more cores would be faster",
            sys.stderr,
        )
    _start(request, ranks, argv, env)


@contextlib.contextmanager
def _joined(request: Request, env: Environment) -> Iterator[distributed.RunRanks]:
    """Join the other ranks, and leave them at the end."""
    set_up(env)
    run_ranks = launcher.rendezvous(request, env)
    distributed.connect(run_ranks, request.timeout_seconds)
    yield run_ranks
    distributed.leave()


def _start(request: Request, ranks: torchrun.Ranks, argv: Sequence[str], env: Environment) -> None:
    check(request, request.trials, env, has_gpu=ranks.gpus > 0)
    with handover.handed_over(request.suites, env):
        torchrun.launch(argv, ranks, max_restarts=0)
