"""One rank of a run: its parts put together, from the heartbeat to the worker that trains."""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Mapping

from harness.results import provenance
from harness.results.lease import Leases
from harness.results.lease_owner import this_process
from harness.results.user_code_hash import UserCodes
from harness.runner import keys
from harness.runner.event_channel import EventChannel
from harness.runner.heartbeat import Heartbeat, Leave
from harness.runner.record_writer import RecordWriter
from harness.runner.recovery import Recovery
from harness.runner.request import Request
from harness.runner.run_code import CodeGuard
from harness.runner.shutdown import JobFiles, StopRequests
from harness.runner.trial_queue import TrialQueue, tries_before
from harness.runner.trial_runner import TrialRunner
from harness.runner.worker import Worker
from harness.tracking.console import console_for
from harness.training.distributed import RunRanks


def work(request: Request, run_ranks: RunRanks, env: Mapping[str, str], codes: UserCodes) -> bool:
    """Train all that remains, together with the other ranks; return whether this one reached the end."""
    console = console_for(sys.stdout, len(request.remaining())) if run_ranks.is_rank_zero else None
    # The job's script runs on one of the nodes; on another its stop file may not be visible for a while.
    reads_stop_file = run_ranks.local_rank == 0
    stop_requests = StopRequests(JobFiles.of(env).stop_file if reads_stop_file else None)
    with stop_requests.listening():
        heartbeat = Heartbeat(
            run_ranks, EventChannel(run_ranks, console), request.timeout_seconds, stop_requests
        )
        try:
            worker_of(request, run_ranks, env, CodeGuard(codes), heartbeat).run()
        except Leave:
            return False
        finally:
            heartbeat.stop()
    return stop_requests.signal_name is None


def worker_of(
    request: Request,
    run_ranks: RunRanks,
    env: Mapping[str, str],
    guard: CodeGuard,
    heartbeat: Heartbeat,
) -> Worker:
    """Put a rank's worker together, under the run id that all ranks and restarts of a run share."""
    store, say = run_ranks.run, heartbeat.events.note
    if run_ranks.is_rank_zero and store.get(keys.RUN_ID) is None:
        store.set(keys.TRIES, tries_before(request))
        guard.publish(request, store, say)
        store.set(keys.RUN_ID, uuid.uuid4().hex)
    heartbeat.wait(lambda: store.get(keys.RUN_ID) is not None)
    guard.read(store)
    record_writer = RecordWriter(
        request.store,
        run_ranks,
        provenance.versions(),
        guard,
        request.save_model,
        provenance.device_name(run_ranks.device),
    )
    me = this_process(store.get(keys.RUN_ID) or "", run_ranks.start, env, request.stale_seconds)
    tries = json.loads(store.get(keys.TRIES) or "{}")
    queue = TrialQueue(request, run_ranks, Leases(request.store, me), record_writer, say, tries)
    recovery = Recovery(run_ranks, heartbeat, queue)
    return Worker(
        request,
        run_ranks,
        env,
        heartbeat,
        queue,
        TrialRunner(request, run_ranks, env, heartbeat, queue, recovery),
    )
