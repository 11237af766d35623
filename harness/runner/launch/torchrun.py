"""Local launcher: the number of ranks on this machine, their environment, torchrun, and how they ended."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from harness import environment, starts
from harness.errors import CrashError, InterruptedRunError, UsageError
from harness.program import command
from harness.results import provenance
from harness.runner.launch import contention
from harness.runner.launch.forked_ranks import Forks
from harness.runner.launch.worker_process import threads_of
from harness.runner.shutdown import heeded
from harness.tracking.console import say
from harness.training.device_choice import no_gpu, on_cpu, too_many
from harness.training.gpus import Gpus, find, have_torch_warn_unheard, why_none

_SPINNING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
_LOOPBACK = "127.0.0.1"  # this machine, also where its name cannot be resolved


@dataclass(frozen=True)
class Ranks:
    """Number of ranks to start, of GPUs for them (0: the CPU), and CUDA_VISIBLE_DEVICES for them."""

    count: int
    gpus: int
    visible: str | None = None


def ranks_here(
    requested: int | None, device: str | None, trials: int | None, env: Mapping[str, str]
) -> Ranks:
    """Return the ranks to start: as many as requested, else one per working GPU, else one per core.

    On a CPU at most one per trial, if their number is given: two processes of one thread train two trials
    faster than one process of two, and one trial is trained faster by two threads than by two processes.
    OMP_NUM_THREADS says how many cores a rank takes. Raise UsageError for too few GPUs.
    """
    if requested is not None and requested < 1:
        raise UsageError(f"--nproc {requested}: expected 1 or more")
    found = Gpus(()) if device == "cpu" else find(env)
    working = len(found.working)
    if device == "cuda" and not working:
        raise UsageError(no_gpu(found.why or why_none(env)))
    if working == 0:
        have_torch_warn_unheard()
        if found.why:
            say(on_cpu(found.why), sys.stderr)
        most = max(1, provenance.cores() // (threads_of(env) or 1))
        useful = most if trials is None else min(most, max(1, trials))
        return Ranks(requested or useful, 0, found.visible(env))
    count = requested or working
    if count > working:
        raise UsageError(too_many(working, count, found.why))
    if found.why:
        say(f"not used: {found.why}", sys.stderr)
    return Ranks(count, working, found.visible(env))


def worker_environment(env: Mapping[str, str], ranks: Ranks) -> dict[str, str]:
    """Return the environment variables that a worker needs from its start: threads and GPUs."""
    threads = threads_of(env) or max(1, provenance.cores() // ranks.count)
    settings = {"OMP_NUM_THREADS": str(threads)}
    if loopback := _loopback_interface():
        settings["GLOO_SOCKET_IFNAME"] = loopback  # gloo would look for the address of the host's name
    spins = threads > 1 and not any(name in env for name in _SPINNING)
    if spins and contention.is_expected(ranks.count * threads):
        settings["OMP_WAIT_POLICY"] = "passive"  # else a thread spins for the one whose core it takes
    return {
        **{key: value for key, value in settings.items() if key not in env},
        **({} if ranks.visible is None else {"CUDA_VISIBLE_DEVICES": ranks.visible}),
        environment.LAUNCHED: str(os.getpid()),
    }


def launch(arguments: Sequence[str], ranks: Ranks, max_restarts: int, forks: Forks | None = None) -> None:
    """Run this program with the arguments in all ranks, until they have ended.

    On a CPU they are `forks` of this process, if these are given. If one crashes, torchrun restarts all of
    them, at most `max_restarts` times.

    Raise InterruptedRunError after a signal and CrashError if a worker crashed.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.disable(logging.CRITICAL)  # in this process only: our own message says how it ended
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=ranks.count,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint=f"{_LOOPBACK}:0",
        local_addr=_LOOPBACK,
        max_restarts=max_restarts,
        monitor_interval=0.1,
        signals_to_handle=",".join(number.name for number in heeded()),
    )
    program, settings = command(), worker_environment(os.environ, ranks)
    try:
        with _prepared_for_ranks(settings) as known, contextlib.ExitStack() as stack:
            if forks and ranks.gpus == 0 and forks.are_safe(settings):
                stack.enter_context(forks.instead_of_starts())
            elastic_launch(config, program[0])(*program[1:], *arguments)
            if reason := starts.given_up(known):
                raise CrashError(f"the ranks ended before they trained, again and again: {reason}")
    except SignalException as error:
        raise InterruptedRunError(int(error.sigval)) from None
    except KeyboardInterrupt:
        raise InterruptedRunError(signal.SIGINT) from None
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        raise _crash(rank, failure.exitcode, max_restarts) from None


@contextlib.contextmanager
def _prepared_for_ranks(settings: Mapping[str, str]) -> Iterator[Path]:
    """Set variables and more for ranks; yield the folder in which these note how their starts ended."""
    before, lookup = dict(os.environ), socket.getfqdn
    with TemporaryDirectory(prefix="harness-starts-", ignore_cleanup_errors=True) as known:
        # torchrun passes its own environment on, and takes no other
        os.environ.update({**settings, environment.STARTS: known})
        socket.getfqdn = _name  # torchrun looks up the host's full name repeatedly, for its log
        try:
            yield Path(known)
        finally:
            socket.getfqdn = lookup
            os.environ.clear()
            os.environ.update(before)


def _name(name: str = "") -> str:
    """Return a host's name without a lookup, which takes ten seconds if no name server answers."""
    return name or socket.gethostname()


def _loopback_interface() -> str | None:
    names = [name for _, name in socket.if_nameindex()]
    return next((name for name in ("lo", "lo0") if name in names), None)


def _crash(rank: int, exit_code: int, max_restarts: int) -> CrashError:
    if exit_code >= 0:
        return CrashError(f"rank {rank} ended with exit code {exit_code}; its message stands above")
    return CrashError(
        f"rank {rank} was ended by {signal.Signals(-exit_code).name}, and the ranks were started again "
        f"{max_restarts} times (--max-restarts); the same command goes on from its trial's last checkpoint"
    )
