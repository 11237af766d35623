"""Launcher: starts a command's ranks on this machine, or joins them as one of torchrun's workers."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, MutableMapping, Sequence, Set

from harness import environment, report
from harness.config.published_rounding import coarse
from harness.errors import CrashError, HarnessError, LostRankError, UsageError
from harness.results import code_changes
from harness.results.edits import is_edited, since_last_run
from harness.results.retraining import retrain
from harness.results.store import Store
from harness.results.user_code_hash import UserCodes
from harness.runner import keys, rank
from harness.runner.launch import handover, torchrun
from harness.runner.launch.forked_ranks import Forks, Inherited
from harness.runner.launch.worker_process import set_up
from harness.runner.request import (
    Request,
    checked,
    folder_kept,
    tell_data,
    with_data,
    with_earlier_data,
)
from harness.runner.shutdown import JobFiles, StopRequests
from harness.starts import described
from harness.tracking.console import say
from harness.training import distributed
from harness.training.device_choice import on_cpu

Environment = MutableMapping[str, str]


def run(request: Request, nproc: int | None, argv: Sequence[str], env: Environment) -> int:
    """Train the remaining trials and write the tables; return the exit code.

    Raise UsageError, or what `check` and `torchrun.launch` raise.
    """
    if "TORCHELASTIC_RUN_ID" in env:
        return _work(request, nproc, env)
    codes = UserCodes()
    codes.all_of(request.trials)  # before any is imported
    forks = Forks(codes)
    request = with_data(request, env)
    ranks = _ranks(request, nproc, env)
    known = checked(request, env, has_gpu=ranks.gpus > 0)
    if known.suites != request.suites:  # by data that had to be downloaded
        request, ranks = known, _ranks(known, nproc, env)
    _begin(request, codes)
    edited = _tell_edited(request)
    crash: CrashError | None = None
    if request.remaining():
        try:
            with handover.handed_over(request.suites, env):
                torchrun.launch(argv, ranks, request.max_restarts, forks)
        except CrashError as error:
            crash = error
    was_stopped = StopRequests(JobFiles.of(env).stop_file).poll() is not None
    code = _conclude(request, env, was_stopped=was_stopped)
    _tell_edited(request, edited)
    if crash:
        raise crash
    return code


def _ranks(request: Request, nproc: int | None, env: Environment) -> torchrun.Ranks:
    trials = None if request.placement == "ddp" else len(request.to_check())
    return torchrun.ranks_here(nproc, request.device, trials, env)


def _begin(request: Request, codes: UserCodes) -> None:
    """Save the suites, set aside the records to retrain, and report changes since records were made."""
    tell_data(request)
    for suite in request.suites:
        for text in (*since_last_run(request.store, suite), *coarse(suite)):
            say(text, sys.stderr)
        request.store.save_suite(suite)
    for text in retrain(request.store, request.suites, request.trials, request.retrain, codes):
        say(text, sys.stderr)
    for suite in request.suites:
        for text in code_changes.sentences(request.store, suite, codes):
            say(text, sys.stderr)


def _work(request: Request, nproc: int | None, env: Environment) -> int:
    """Run as one of torchrun's workers; return the exit code."""
    set_up(env)
    launched = environment.LAUNCHED in env
    if nproc is not None and not launched:
        raise UsageError("--nproc: torchrun has started the ranks already; use its --nproc_per_node instead")
    run_ranks = rendezvous(request, env)
    can_restart = env.get("TORCHELASTIC_MAX_RESTARTS", "0") != "0"
    if (over := run_ranks.run.get(keys.OVER)) is not None:
        return _tell_why(over, run_ranks, env)
    try:
        code = _train(request, run_ranks, env, launched=launched)
    except (CrashError, LostRankError):
        if can_restart and run_ranks.run.get(keys.OVER) is not None:
            return 1  # another rank's error, which is reported instead
        raise  # torchrun may restart all ranks
    except HarnessError as error:
        if not can_restart:
            raise
        if run_ranks.run.get(keys.OVER) is None:
            run_ranks.run.set(keys.OVER, f"{error.exit_code} {error}")
        return 1  # torchrun restarts all ranks, and they see that a restart does not help
    except Exception as error:
        if can_restart and not launched:
            _note_end(described(error), run_ranks)
        raise
    return 0 if can_restart else code  # torchrun would restart a finished suite


def _note_end(reason: str, run_ranks: distributed.RunRanks) -> None:
    """Record why this start ended before it trained; the same reason twice in a row ends the run."""
    if run_ranks.get(keys.phase(run_ranks.start[1], 0)) is not None:
        return
    number = run_ranks.start[0]
    if run_ranks.run.get(keys.ended_early(number - 1)) == reason:
        run_ranks.run.set(keys.OVER, f"1 the ranks ended before they trained, again and again: {reason}")
    run_ranks.run.set(keys.ended_early(number), reason)


def rendezvous(request: Request, env: Environment) -> distributed.RunRanks:
    """Find the other ranks; report once why none of them has a GPU, if a user may have expected one."""
    run_ranks = distributed.rendezvous(env, request.device, request.timeout_seconds)
    if run_ranks.is_rank_zero and run_ranks.no_gpu and run_ranks.start == [1, 0]:
        say(on_cpu(run_ranks.no_gpu), sys.stderr)
    return run_ranks


def _tell_why(over: str, run_ranks: distributed.RunRanks, env: Environment) -> int:
    """Report once why the run cannot go on; return the exit code with which torchrun does not restart it."""
    code, _, text = over.partition(" ")
    if run_ranks.is_rank_zero and run_ranks.run.add(keys.OVER_TOLD) == 1:
        say(f"error: {text}", sys.stderr)
        if environment.LAUNCHED not in env:
            JobFiles.of(env).tell_outcome(int(code), is_finished=True)
    return 0


def _train(request: Request, run_ranks: distributed.RunRanks, env: Environment, *, launched: bool) -> int:
    """Train with the other ranks; return this rank's exit code."""
    leads = run_ranks.is_rank_zero and not launched
    codes = Inherited.codes or UserCodes()
    codes.all_of(request.trials)  # before any is imported
    if launched:
        request = with_earlier_data(request)  # the launcher's, which suite.json has
    else:
        request = checked(with_data(request, env), env, has_gpu=run_ranks.device.type == "cuda")
    if leads and run_ranks.start == [1, 0]:  # else a restart
        _begin(request, codes)
    edited = _tell_edited(request) if leads else set()
    distributed.connect(run_ranks, request.timeout_seconds)
    with folder_kept():
        if not rank.work(request.absolute(), run_ranks, env, codes):
            if run_ranks.world_size == 1:  # NCCL warns where its group is left undestroyed
                distributed.leave()
            return 0  # after a signal; other ranks may be gone
    was_stopped = run_ranks.get(keys.STOP) is not None
    distributed.leave()
    if not leads:
        return 0
    code = _conclude(request, env, was_stopped=was_stopped)
    _tell_edited(request, edited)
    return code


def _tell_edited(request: Request, known: Set[str] = frozenset()) -> set[str]:
    """Say which suites' files have been edited since, unless known; return the folders of all."""
    found = dict(handover.edited(request.suites, known))
    for sentence in found.values():
        say(sentence, sys.stderr)
    return {*known, *found}


def _conclude(request: Request, env: Mapping[str, str], *, was_stopped: bool) -> int:
    """Write and print the tables; return the exit code that follows from the records."""
    code = 0
    for suite in request.suites:
        if suite.folder not in request.store.folders():  # removed during the run
            request.store.save_suite(suite)
        request.store.tidy(suite.folder)
        written = _write_report(request.store, suite.folder)
        if is_edited(request.store, suite):
            say(f"{suite.folder}: another run has begun with other settings: here is its table", sys.stderr)
        say(f"\n{written.text}\n({written.path})", sys.stdout)
        for message in written.unreadable:
            say(f"{message}; remove it to have it trained again", sys.stderr)
            code = 1
    called_for = request.called_for()
    if request.seeds and (others := len(request.trials) - len(called_for)):
        say(f"--seeds: results so far do not require {others} of the trials that it names", sys.stderr)
    states = Counter(request.store.find(trial).state for trial in called_for)
    if states["failed"] or states["diverged"] or (states["left"] and request.wait and not was_stopped):
        code = 1
    JobFiles.of(env).tell_outcome(code, is_finished=not (was_stopped and states["left"]))
    return code


def _write_report(store: Store, folder: str) -> report.Written:
    """Write a report of all records, again if other runs have added some meanwhile."""
    while True:
        before = store.files(folder)
        written = report.write(store, folder)
        if store.files(folder) == before:
            return written
