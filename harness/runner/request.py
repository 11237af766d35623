"""Request to `harness run`, `bench` or `scale`: trials, data and options, and the checks before a start."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from harness import data, environment, tracking
from harness.config.places import place_of
from harness.config.suite import Suite, Trial, chosen
from harness.data import Dataset, DatasetSettings
from harness.errors import DataError, HarnessError, SuiteError, UsageError
from harness.results.record import EngineName
from harness.results.seed_rule import called_for
from harness.results.store import Found, Store, to_train
from harness.results.user_code_hash import UserCodes, job_code
from harness.runner.model_mistakes import check_models
from harness.runner.placement import RequestedPlacement
from harness.runner.suite_data import told, with_digest
from harness.tracking.console import say
from harness.training.dataloader import DataOn


@dataclass(frozen=True)
class Request:
    """Arguments of a run or a benchmark; paths in its suites are relative to `folder`."""

    suites: Sequence[Suite]
    only: Sequence[str] = ()
    seeds: Sequence[int] = ()
    results: Path = Path("results")
    data_dir: Path | None = None
    folder: Path = Path()
    device: str | None = None
    placement: RequestedPlacement = "auto"
    engine: EngineName | None = None
    data_on: DataOn = "auto"
    trials_per_device: int | None = None
    calibrate: bool = True
    timeout_seconds: float = 600.0
    checkpoint_seconds: float = 300.0
    stale_seconds: float = 60.0
    wait: bool = True
    max_restarts: int = 10
    retry_diverged: bool = False
    retrain: Sequence[str] = ()
    save_model: bool = False
    log: Sequence[str] = ()
    loaded: dict[str, Dataset] = field(default_factory=dict, repr=False, compare=False)

    @property
    def store(self) -> Store:
        """Return the store of the records."""
        return Store(self.results)

    @property
    def suite_files(self) -> dict[str, Path]:
        """Return the files that suites were read from, by their folders of results; none for a pipe."""
        sources = {suite.folder: suite.source for suite in self.suites}
        return {folder: Path(each.path) for folder, each in sources.items() if each and each.path}

    @cached_property
    def trials(self) -> list[Trial]:
        """List the requested trials, done or not, including those that results may still require."""
        return chosen(self.suites, self.only, self.seeds)

    def called_for(self) -> list[Trial]:
        """List the requested trials that the results so far require."""
        return called_for(self.store, self.suites, self.trials)

    def remaining(self) -> list[Trial]:
        """List the requested trials that still have to be trained."""
        return [trial for trial in self.called_for() if self.wants(self.store.find(trial))]

    def absolute(self) -> Request:
        """Return the request with absolute paths, as a user's code may change the working directory."""
        data_dir = anchored(self.data_dir) if self.data_dir else None
        return replace(self, results=anchored(self.results), data_dir=data_dir, folder=anchored(self.folder))

    def to_check(self) -> list[Trial]:
        """List the requested trials to train, including those whose records are set aside first."""
        return [
            trial
            for trial in self.called_for()
            if trial.experiment in self.retrain or self.wants(self.store.find(trial))
        ]

    def wants(self, found: Found) -> bool:
        """Return whether a trial with these results on disk is to be trained."""
        return found.state in to_train(retry_diverged=self.retry_diverged)


def anchored(path: Path) -> Path:
    """Return the path made absolute; a `~` at its beginning stays."""
    return path if path.parts[:1] and path.parts[0].startswith("~") else path.absolute()


def with_data(request: Request, env: Mapping[str, str]) -> Request:
    """Return the request with the digests of its suites' data, as far as these are on this machine."""
    suites = []
    for given in request.suites:
        suite = with_digest(request.store, given, "")
        try:
            found = request.loaded.get(_key(suite.dataset)) or _at_hand(request, suite, env)
        except DataError as error:
            found = None
            if not replace(request, suites=[suite]).remaining():  # else the check of what remains raises it
                _warn(f"{suite.folder}: its data cannot be checked: {error}")
        suites.append(with_digest(request.store, suite, found.digest if found else ""))
    return replace(request, suites=suites)


def _at_hand(request: Request, suite: Suite, env: Mapping[str, str]) -> Dataset | None:
    dataset = suite.dataset
    found = data.at_hand(dataset, request.data_dir, env, _warn, request.folder)
    if found:
        request.loaded[_key(dataset)] = found
    return found


def with_earlier_data(request: Request) -> Request:
    """Return the request with the digests of the data with which its suites last ran."""
    return replace(request, suites=[with_digest(request.store, suite, "") for suite in request.suites])


def tell_data(request: Request) -> None:
    """Report which suites' data have changed since they last ran, and which records are stale for that."""
    for suite in request.suites:
        for text in told(request.store, suite, map(request.store.find, suite.trials())):
            _warn(text)


def checked(request: Request, env: Mapping[str, str], *, has_gpu: bool) -> Request:
    """Check the remaining trials, as `check` does; return the request with the digests of its data.

    If downloaded data differ from those of earlier records, the trials of those are trained again.
    """
    while True:
        check(request, request.to_check(), env, has_gpu=has_gpu)
        known = with_data(request, env) if request.loaded else request
        if known.suites == request.suites:
            return request
        request = known


def check(request: Request, trials: Iterable[Trial], env: Mapping[str, str], *, has_gpu: bool) -> None:
    """Fetch the data, build and check every model; raise HarnessError if a trial could not start."""
    folders = [suite.folder for suite in request.suites]
    if len(set(folders)) < len(folders):
        raise UsageError(f"found the suites {', '.join(folders)}, expected each name once")
    if request.placement == "ddp" and (request.trials_per_device or 1) > 1:
        raise UsageError("--trials-per-device: under --placement ddp all ranks train one trial; use spread")
    if request.engine not in (None, "eager") and not has_gpu:
        raise UsageError(
            f"--engine {request.engine}: found no GPU, on which alone steps are captured; leave it out"
        )
    for name in request.log:
        tracking.opener("--log", name)
    _check_code(request, env.get(environment.CODE, ""))
    trials = list(trials)
    _check_choices(request, trials, env)
    alike = check_models(request.suites, trials, lambda trial: load_data(request, trial, env))
    if alike and env.get("RANK", "0") == "0":
        text = "all seeds begin with the same weights, as the model's build fixes a seed of its own"
        say(f"{', '.join(alike)}: {text}", sys.stderr)


def _check_choices(request: Request, trials: Sequence[Trial], env: Mapping[str, str]) -> None:
    """Raise SuiteError if a suite's experiment is to be chosen by validation samples that its data lack."""
    for suite in request.suites:
        trial = next((each for each in trials if each.folder == suite.folder), None)
        if trial is None or suite.choose is None or not suite.choose.needs_validation:
            continue
        if problem := load_data(request, trial, env).problem_of_validation():
            raise SuiteError([f"{place_of(suite, ('choose', 'by'))}: choose.by: {problem}"])


def _check_code(request: Request, expected: str) -> None:
    """Raise UsageError if suite or user code differ from those that the job was submitted with."""
    if expected and (found := job_code(request.trials, UserCodes())) != expected:
        raise UsageError(
            "the suite or the user's code has changed since the job was submitted: found the hash "
            f"{found[:8]}…, expected {expected[:8]}…; submit it again, or with --allow-changed-code"
        )


def load_data(request: Request, trial: Trial, env: Mapping[str, str]) -> Dataset:
    """Load the trial's dataset, once; download and resize it if that was not done before."""
    dataset = trial.settings.dataset
    if _key(dataset) not in request.loaded:
        request.loaded[_key(dataset)] = data.load(dataset, request.data_dir, env, _warn, request.folder)
    return request.loaded[_key(dataset)]


def _key(dataset: DatasetSettings) -> str:
    return dataset.model_dump_json()


def _warn(text: str) -> None:
    say(text, sys.stderr)


@contextlib.contextmanager
def folder_kept() -> Iterator[None]:
    """Return to the working directory afterwards, as a user's code may have left it."""
    folder = Path.cwd()
    try:
        with contextlib.chdir(folder):
            yield
    except HarnessError as error:
        error.args = (str(error).replace(f"{folder}{os.sep}", ""),)
        raise
