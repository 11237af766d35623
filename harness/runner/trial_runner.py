"""Runner of one trial on its ranks: trains it, reports its progress, and records how it ended."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from functools import partial

from harness.config.suite import Trial
from harness.errors import DataError, LostLeaseError, StoreError, is_of_trial
from harness.formatting import percent
from harness.process_state import restored
from harness.results import provenance
from harness.results.epoch_rule import reported_epoch
from harness.results.lease import Lease
from harness.results.lease_progress import LeaseProgress
from harness.results.record import Record
from harness.runner import keys
from harness.runner.heartbeat import Heartbeat
from harness.runner.placement import Execution
from harness.runner.recovery import Recovery
from harness.runner.request import Request, load_data
from harness.runner.run_code import code_of
from harness.runner.trial_callbacks import TrialCallbacks
from harness.runner.trial_progress import TrialProgress
from harness.runner.trial_queue import TrialQueue
from harness.tracking import Dispatcher
from harness.training.dataloader import ResidentDataset
from harness.training.distributed import ProcessGroup, RunRanks
from harness.training.engine import CaptureError
from harness.training.precision import PRECISIONS
from harness.training.trainer import Outcome, Places, step_by_step


@dataclass
class TrialRunner:
    """Runner of the trials that this rank trains, alone or with others."""

    request: Request
    run_ranks: RunRanks
    env: Mapping[str, str]
    heartbeat: Heartbeat
    trial_queue: TrialQueue
    recovery: Recovery
    residents: dict[str, tuple[ResidentDataset, str]] = field(default_factory=dict)

    @property
    def running(self) -> dict[str, tuple[Execution, str]]:
        """Return how each running trial is executed, and when it began."""
        return self.recovery.running

    def steps(
        self, trial: Trial, lease: Lease, ranks: ProcessGroup, execution: Execution
    ) -> Generator[None, None, None]:
        """Train the leased trial, step by step, and record how it ended."""
        self.running[trial.key] = execution, provenance.now()
        names, timeout_seconds = self.request.log if ranks.is_rank_zero else [], self.request.timeout_seconds
        note, save = self.heartbeat.events.note, None
        try:
            with (
                restored(random_states=False),  # the model's forward may change settings
                Dispatcher(trial, self.request.store, names, note, timeout_seconds) as dispatcher,
            ):
                save = yield from self._train(trial, lease, ranks, dispatcher)
        except LostLeaseError as error:
            note(str(error))
        except StoreError as error:
            self.recovery.after_store_error(trial, lease, error, is_awaited=ranks.world_size > 1)
        except CaptureError as error:
            self.recovery.start_again_eagerly(trial, lease, ranks, str(error))
        except BaseException as error:  # from the user's code; its sys.exit() is a failure, too
            if not is_of_trial(error):
                raise
            self.recovery.after_error(trial, ranks, error)
        finish = partial(self._finish, trial, lease, ranks, save)
        if save:
            self.heartbeat.spare(trial.key)  # what ends this process meanwhile is the next trial
            self.heartbeat.background.submit(finish)
        else:
            finish()
        if ranks.world_size > 1:
            self.heartbeat.barrier(f"course/{lease.token}")  # until now another rank may fail
            self.heartbeat.end(trial.key)
        del self.running[trial.key]

    def resident(self, trial: Trial) -> tuple[ResidentDataset, str]:
        """Return the trial's dataset on this rank's device, and its digest."""
        settings = trial.settings
        dtype = PRECISIONS[settings.training.precision].dtype
        key = json.dumps([settings.dataset.model_dump(), str(dtype)])
        if key not in self.residents:
            dataset = load_data(self.request, trial, self.env)
            self._check_data(trial, dataset.digest)
            device, data_on = self.run_ranks.device, self.request.data_on
            self.residents[key] = ResidentDataset.of(dataset, device, dtype, data_on), dataset.digest
        return self.residents[key]

    def _check_data(self, trial: Trial, digest: str) -> None:
        """Raise DataError unless all ranks and restarts of the run have the same data."""
        dataset = trial.settings.dataset.model_dump_json()
        name = keys.data(dataset)
        if self.run_ranks.add(keys.first_to_load(dataset)) == 1 and self.run_ranks.run.get(name) is None:
            self.run_ranks.run.set(name, trial.data_digest or digest)
        self.heartbeat.wait(lambda: self.run_ranks.run.get(name) is not None)
        if (expected := self.run_ranks.run.get(name)) != digest:
            raise DataError(
                f"{trial.settings.dataset.title}: found data with the digest {digest[:8]}… on "
                f"{provenance.host()}, expected those with which the run began, {(expected or '')[:8]}…; "
                "give all machines the same, and start again"
            )

    def _train(
        self, trial: Trial, lease: Lease, ranks: ProcessGroup, dispatcher: Dispatcher
    ) -> Generator[None, None, Callable[[], None] | None]:
        """Train the trial; return what saves its record, if that is not done yet."""
        resident, data_digest = self.resident(trial)
        callbacks = self._callbacks(trial, lease, ranks, dispatcher, resident)
        places = Places(
            self.request.store.checkpoint_paths(trial),
            f"{code_of(self.trial_queue.record_writer.versions_of(trial))} {data_digest}",
            self.request.checkpoint_seconds,
        )
        engine = self.recovery.engine_of(trial)
        outcome = yield from step_by_step(trial, resident, ranks, places, callbacks, engine)
        if outcome and outcome.has_broken_capture:
            self.recovery.execute_eagerly(trial)
        if outcome is None or not ranks.is_rank_zero:
            return None
        with callbacks.saving():
            record = self._record(trial, lease, outcome, resident.samples, data_digest)
            save = partial(self._save, trial, lease, record, callbacks)
            if not dispatcher.names:
                return save
            save()  # before trackers are told how the trial ended
        dispatcher.status = outcome.status
        return None

    def _callbacks(
        self,
        trial: Trial,
        lease: Lease,
        ranks: ProcessGroup,
        dispatcher: Dispatcher,
        resident: ResidentDataset,
    ) -> TrialCallbacks:
        steps, batches = _parts_of_an_epoch(trial, resident)
        parts, train_size = trial.settings.training.epochs * (steps + batches), len(resident.train)
        on_stall = partial(self.recovery.failed, trial)
        trial_progress = self.heartbeat.begin(trial.key, parts, on_stall, together=ranks.world_size > 1)
        self.trial_queue.leases.tell(trial, lease, lambda: _progress_of(trial, trial_progress, train_size))
        return TrialCallbacks(
            trial,
            lease,
            ranks.is_rank_zero,
            train_size,
            steps,
            batches,
            trial_progress,
            self.heartbeat,
            self.trial_queue,
            dispatcher,
        )

    def _record(
        self, trial: Trial, lease: Lease, outcome: Outcome, samples: dict[str, int], data_digest: str
    ) -> Record:
        writer = self.trial_queue.record_writer
        if writer.save_model:
            self.trial_queue.leases.check(trial, lease)
            writer.save_weights(trial, outcome)
        return writer.record_of(trial, outcome, *self.running[trial.key], samples, data_digest)

    def _save(self, trial: Trial, lease: Lease, record: Record, callbacks: TrialCallbacks) -> None:
        self.trial_queue.leases.check(trial, lease)
        self.request.store.save(trial, record)
        callbacks.tell()
        accuracy = f"test {percent(reported_epoch(trial.settings.training, record.epochs).test_accuracy)}"
        self.heartbeat.events.tell_end(trial.key, f"{record.status}, {accuracy}")
        self.run_ranks.set(keys.ended(trial.key), record.status)

    def _finish(
        self, trial: Trial, lease: Lease, ranks: ProcessGroup, save: Callable[[], None] | None
    ) -> None:
        """Save the record, in the background; only then release the lease."""
        try:
            if save:
                save()
        except LostLeaseError as error:
            self.heartbeat.events.note(str(error))
        except StoreError as error:
            self.recovery.after_store_error(trial, lease, error, is_awaited=False)
        finally:
            if ranks.world_size == 1:
                self.heartbeat.end(trial.key)
        if ranks.is_rank_zero:
            self.trial_queue.leases.release(trial, lease)


def _parts_of_an_epoch(trial: Trial, resident: ResidentDataset) -> tuple[int, int]:
    """Count the steps of one epoch, and its batches of evaluation, norms of an average included."""
    training = trial.settings.training
    steps = resident.train.batches(training.batch_size)
    return steps, resident.eval_batches + (steps if training.ema or training.swa else 0)


def _progress_of(trial: Trial, trial_progress: TrialProgress, train_size: int) -> LeaseProgress:
    """Return a trial's progress as the training thread last wrote it, for its lease."""
    last = trial_progress.last
    return LeaseProgress(
        fraction=trial_progress.fraction,
        epochs=trial.settings.training.epochs,
        last=last,
        samples_per_second=train_size / last.train_seconds if last else None,
    )
