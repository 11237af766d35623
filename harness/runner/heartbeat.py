"""Heartbeat thread: publishes this rank's heartbeat, detects dead or stalled ranks, restarts or exits.

It also passes stop requests on to all ranks. When a trial that all ranks train together has failed on one
of them, the others may wait in a collective for ever: every rank then restarts itself in place (exec),
which closes all connections on any backend, and goes on with the next trial.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable

from harness import environment
from harness.errors import HarnessError, LostRankError
from harness.runner import keys
from harness.runner.background import Background
from harness.runner.event_channel import EventChannel
from harness.runner.shutdown import ASKED, StopRequests
from harness.runner.trial_progress import TrialProgress
from harness.training.distributed import RunRanks

_INTERVAL_SECONDS = 0.2
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.001, 0.05  # other ranks are often a step behind
_BEATS_PER_LOOK = 5
_LOOK_SECONDS = _BEATS_PER_LOOK * _INTERVAL_SECONDS
_STUCK_SECONDS = 5.0


class Leave(Exception):  # noqa: N818
    """Raised in a waiting rank to end its process; other ranks may have exited already."""


class Heartbeat:
    """Heartbeat of one rank, in a thread that also sees when the training makes no progress."""

    def __init__(
        self, run_ranks: RunRanks, events: EventChannel, timeout_seconds: float, stop_requests: StopRequests
    ) -> None:
        self.run_ranks, self.events, self.stop_requests = run_ranks, events, stop_requests
        self.timeout_seconds = timeout_seconds
        self.stopping: str | None = None
        self.progress: dict[str, TrialProgress] = {}
        self.background = Background()
        self._changing = threading.Lock()
        self._stopped = threading.Event()
        self._beats = 0
        self._seen: dict[int, tuple[str, float]] = {}
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)
        self._thread.start()

    def begin(
        self, trial: str, parts: int, on_stall: Callable[[str], None], *, together: bool
    ) -> TrialProgress:
        """Register that this rank starts a trial of `parts` steps and batches, alone or with all others."""
        trial_progress = TrialProgress(parts, together, on_stall)
        with self._changing:
            self.progress = {**self.progress, trial: trial_progress}
        return trial_progress

    def end(self, trial: str) -> None:
        """Register that this rank has left the trial."""
        with self._changing:
            self.progress = {key: each for key, each in self.progress.items() if key != trial}

    @property
    def is_stopping(self) -> bool:
        """Return whether this rank knows of a stop request, or has a record that it could not save."""
        return bool(self.stopping or self.stop_requests.signal_name or self.background.has_failed)

    def barrier(self, name: str) -> None:
        """Wait until all ranks have reached this point."""
        self.run_ranks.add(keys.met(name))
        self.wait(lambda: self.run_ranks.add(keys.met(name), 0) == self.run_ranks.world_size)

    def wait(self, ready: Callable[[], bool]) -> None:
        """Wait until `ready`; raise LostRankError if a rank that it may depend on has no heartbeat any more.

        Raise Leave after a signal.
        """
        self._seen.clear()
        next_look, pause_seconds = 0.0, _FIRST_PAUSE_SECONDS
        while not ready():
            if self.stop_requests.signal_name or (self.stopping and not self.stopping.startswith(ASKED)):
                raise Leave
            if time.monotonic() >= next_look:
                next_look = time.monotonic() + _LOOK_SECONDS
                if silent := self._silent_for_long():
                    self._give_up(silent)
            time.sleep(pause_seconds)
            pause_seconds = min(2 * pause_seconds, _LONGEST_PAUSE_SECONDS)

    def stop(self) -> None:
        """End the thread and show the remaining events."""
        self._stopped.set()
        self._thread.join()
        self._poll_stop_requests()
        self._show_events()
        self.events.close()

    def silent(self) -> list[int]:
        """Return the ranks with a heartbeat that does not change for a second."""
        before = self._pulses()
        for _ in range(_BEATS_PER_LOOK):
            time.sleep(_INTERVAL_SECONDS)
            self._publish_heartbeat()
        pairs = enumerate(zip(before, self._pulses(), strict=True))
        return [rank for rank, (beat, now) in pairs if rank != self.run_ranks.rank and beat == now]

    def restart_together(self) -> None:
        """Restart this process in place (exec), as all ranks do, once no record is being written."""
        self.background.close(self.timeout_seconds)
        if threading.current_thread() is not self._thread:
            self._stopped.set()
            self._thread.join()
        self._show_events()
        self.progress = {}  # else rank 0 would show it again before this rank's next heartbeat
        self._publish_heartbeat()
        self.events.close()
        sys.stdout.flush()
        sys.stderr.flush()
        generation = int(os.environ.get(environment.GENERATION, "0")) + 1
        os.environ[environment.GENERATION] = str(generation)
        os.environ[environment.START] = str(self.run_ranks.start[0])
        _close_files_at_exec()
        os.chdir(os.environ[environment.FOLDER])  # its arguments are relative to it
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])

    def _run(self) -> None:
        while not self._stopped.wait(_INTERVAL_SECONDS):
            try:
                self._beat()
            except Exception as error:
                # torchrun is gone, or a failure cannot be recorded, or it is a bug of ours
                if not isinstance(error, HarnessError):
                    traceback.print_exc()
                if not self._stopped.is_set():
                    os._exit(1)

    def _beat(self) -> None:
        self._publish_heartbeat()
        if self._beats % _BEATS_PER_LOOK == 0:
            self._poll_stop_requests()
        for trial, trial_progress in self.progress.items():  # other threads replace it as a whole
            self._care_for(trial, trial_progress)
        self._show_events()

    def _publish_heartbeat(self) -> None:
        self._beats += 1
        fractions = {trial: each.fraction for trial, each in self.progress.items() if each.parts}
        self.run_ranks.set(
            keys.pulse(self.run_ranks.rank), json.dumps({"beat": self._beats, "fractions": fractions})
        )

    def _care_for(self, trial: str, trial_progress: TrialProgress) -> None:
        """Handle a trial that makes no progress any more, or that has failed on another rank."""
        still_for = time.monotonic() - trial_progress.moved_at
        if still_for > self.timeout_seconds:
            trial_progress.on_stall(f"no step for {still_for:.0f} s (--timeout); {self._answering()}")
            if not trial_progress.together:  # nothing in this process can end it
                self.spare_others(trial)
                self._show_events()
                os._exit(1)
        is_waiting = trial_progress.together and not trial_progress.is_saving and still_for > _STUCK_SECONDS
        if is_waiting and self.stop_requests.signal_name and self.silent():
            os._exit(1)  # it waits for a rank that has ended
        if trial_progress.together and self.run_ranks.get(keys.failed(trial)) is not None:
            self.restart_together()

    def _show_events(self) -> None:
        if self.events.console:  # only rank 0 has one, until its terminal is gone
            self.events.show({key: each for of_rank in self._fractions() for key, each in of_rank.items()})

    def _pulses(self) -> list[str]:
        """Return the last heartbeat of every rank, at a cost that does not grow with their number."""
        pulses = [keys.pulse(rank) for rank in range(self.run_ranks.world_size)]
        return [text or "{}" for text in self.run_ranks.get_all(pulses)]

    def _fractions(self) -> list[dict[str, float]]:
        """Return for every rank how far each of its trials is, from 0 to 1."""
        return [json.loads(text).get("fractions", {}) for text in self._pulses()]

    def _silent_for_long(self) -> list[int]:
        """Return the ranks with a heartbeat that this rank has seen unchanged for the timeout."""
        now, silent = time.monotonic(), []
        for rank, beat in enumerate(self._pulses()):
            known, since = self._seen.get(rank, ("", now))
            if beat != known:
                self._seen[rank] = (beat, now)
            elif rank != self.run_ranks.rank and now - since > self.timeout_seconds:
                silent.append(rank)
        return silent

    def _answering(self) -> str:
        silent = self.silent()
        return f"rank {', '.join(map(str, silent))} does not answer" if silent else "all ranks answer"

    def _poll_stop_requests(self) -> None:
        reason = self.stop_requests.poll()
        if reason and self.run_ranks.get(keys.STOP) is None:
            self.run_ranks.set(keys.STOP, reason)
            verb = "stopping" if reason.startswith(ASKED) else "told to end"
            self.events.note(f"{verb} ({reason}): states are saved first")
        if self.stop_requests.signal_name:
            self.spare_others()
        self.stopping = self.run_ranks.get(keys.STOP)

    def spare_others(self, guilty: str = "") -> None:
        """Record that this process is about to end for no fault of its trials except `guilty`."""
        for trial, trial_progress in self.progress.items():
            if trial != guilty and not trial_progress.together:
                self.spare(trial)

    def spare(self, trial: str) -> None:
        """Record that the trial is not to blame if this process ends from now on."""
        self.run_ranks.run.set(keys.spared(self.run_ranks.start[0], trial), "yes")

    def _give_up(self, silent: list[int]) -> None:
        still = f"sent no heartbeat for {self.timeout_seconds:.0f} s (--timeout)"
        fractions = self._fractions()
        trials = {trial: f"rank {rank} {still}" for rank in reversed(silent) for trial in fractions[rank]}
        raise LostRankError(f"rank {', '.join(map(str, silent))} {still}", trials)


def _close_files_at_exec() -> None:
    """Have exec close all files but the standard streams; closed earlier, gloo's thread would abort."""
    for name in os.listdir("/dev/fd"):
        with contextlib.suppress(OSError):  # the one that listed them
            if int(name) > 2:
                os.set_inheritable(int(name), False)
