"""How a command becomes ranks: started on this machine, or joined as one of torchrun's workers."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import MutableMapping, Sequence

from harness import bench, report, runner
from harness.errors import CrashError, UsageError
from harness.launch import local
from harness.request import Request, check
from harness.training import world

Environment = MutableMapping[str, str]


def run(request: Request, nproc: int | None, argv: Sequence[str], env: Environment) -> int:
    """Train what remains and write the tables; return the exit code.

    Raise UsageError, or what `check` and the launcher raise.
    """
    if "TORCHELASTIC_RUN_ID" in env:
        return _work(request, nproc, env)
    trials = None if request.placement == "ddp" else len(request.remaining())
    ranks = local.ranks_here(nproc, request.device, trials)
    with request.store.lock([suite.folder for suite in request.suites]):
        check(request, request.remaining(), env)
        for suite in request.suites:
            request.store.save_suite(suite)
        crash: CrashError | None = None
        if request.remaining():
            try:
                local.launch(argv, ranks)
            except CrashError as error:
                crash = error
        code = _conclude(request)
    if crash:
        raise crash
    return code


def measure(
    request: Request, nproc: int | None, seconds: float, argv: Sequence[str], env: Environment
) -> None:
    """Measure every way to execute the suite on this machine's ranks."""
    if "TORCHELASTIC_RUN_ID" in env:
        _set_up_worker(env)
        fleet = world.join(env, request.device, request.timeout_seconds)
        bench.measure(request, fleet, seconds, env)
        world.leave()
    else:
        ranks = local.ranks_here(nproc, request.device, None)
        check(request, request.trials(), env)
        local.launch(argv, ranks)


def _work(request: Request, nproc: int | None, env: Environment) -> int:
    """Be one of torchrun's workers."""
    _set_up_worker(env)
    rank, launched = int(env["RANK"]), "HARNESS_LAUNCHED" in env
    if nproc is not None and not launched:
        raise UsageError(
            "--nproc: torchrun has started the ranks already; say --nproc_per_node to it instead"
        )
    leads = rank == 0 and not launched  # else the launcher holds the results, checks and concludes
    with contextlib.ExitStack() as held:
        if leads:
            held.enter_context(request.store.lock([suite.folder for suite in request.suites]))
        if not launched:
            check(request, request.remaining(), env)
        if leads:
            for suite in request.suites:
                request.store.save_suite(suite)
        fleet = world.join(env, request.device, request.timeout_seconds)
        runner.work(request, fleet, env)
        world.leave()
        code = _conclude(request) if leads else 0
    restarts = int(env.get("TORCHELASTIC_MAX_RESTARTS", "0"))
    return 0 if restarts else code  # torchrun would start a finished suite again


def _set_up_worker(env: Environment) -> None:
    """Set what a worker's libraries read when they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    env.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def _conclude(request: Request) -> int:
    """Write and print the tables; return the exit code that the records call for."""
    code = 0
    written = [report.write(request.store, suite.folder) for suite in request.suites]
    for path, unreadable in written:
        print(f"\n{path.read_text(encoding='utf-8')}\n({path})")  # noqa: T201
        for message in unreadable:
            print(f"{message}; remove it to have it trained again", file=sys.stderr)  # noqa: T201
            code = 1
    if any(request.store.find(trial).state != "done" for trial in request.trials()):
        code = 1
    return code
