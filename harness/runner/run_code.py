"""User code that a run started with: read once, shared by all ranks and restarts, and never mixed.

A process holds the code of a model in memory once it has built it; until then a change on disk counts.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from pydantic import Field

from harness.config import packaged_suite
from harness.config.suite import Trial
from harness.errors import StoreError
from harness.model_libraries import library_of
from harness.results import kept_code, provenance
from harness.results.record import Versions
from harness.results.repository import commit_of_suite
from harness.results.user_code_hash import UserCodes, callables_of, named_sections
from harness.runner import keys
from harness.runner.request import Request
from harness.strict import Strict
from harness.training.key_value_store import KeyValueStore


class RunCode(Strict):
    """Hashes of the user code by experiment, and commits of the suites' repositories by folder."""

    user_code: dict[str, str | None] = Field(default_factory=dict)
    user_commit: dict[str, str | None] = Field(default_factory=dict)

    @classmethod
    def of(cls, request: Request, codes: UserCodes) -> RunCode:
        """Return the code of a run that starts now."""
        trials = {_experiment(trial): trial for trial in request.trials}
        places = codes.places_of(trials.values())
        return cls(
            user_code={key: codes.hash_of(trial) for key, trial in trials.items()},
            user_commit={
                folder: provenance.commit()
                if packaged_suite.is_packaged(str(path))  # its folder may lie in somebody else's repository
                else commit_of_suite(path, places, request.results)
                for folder, path in request.suite_files.items()
            },
        )

    def versions(self, trial: Trial, common: Versions) -> Versions:
        """Return the versions for a trial's record."""
        library = library_of(str(trial.settings.model["name"]))
        return common.model_copy(
            update={
                "user_code": self.user_code.get(_experiment(trial)) or None,
                "user_commit": self.user_commit.get(trial.folder),
                "numerics": trial.numerics,
                "model_library": library.distribution if library else None,
            }
        )


class ChangedCodeError(Exception):
    """User code that has changed since the run started; only the trial fails."""


@dataclass
class CodeGuard:
    """Guard of one rank: `codes` holds the user code as this process found it before importing any."""

    codes: UserCodes
    started: RunCode = field(default_factory=RunCode)
    _built: set[str] = field(default_factory=set)

    def publish(self, request: Request, store: KeyValueStore, say: Callable[[str], None]) -> None:
        """Publish the run's code to all ranks and restarts, and keep its sources beside the records."""
        store.set(keys.CODE, RunCode.of(request, self.codes).model_dump_json())
        for code in self.codes.all_of(request.trials):
            try:
                if text := kept_code.keep(request.results, code):
                    say(text)
            except StoreError as error:  # a record that cannot be saved ends the run, and says so
                say(str(error))

    def read(self, store: KeyValueStore) -> None:
        """Read the run's code, once it is published."""
        self.started = RunCode.model_validate_json(store.get(keys.CODE) or "{}")

    def refusal(self, trial: Trial) -> str:
        """Return why the trial must not be trained by this process, empty if it may be."""
        if not callables_of(trial.settings) or _callables(trial) in self._built:
            return ""
        expected = self.started.user_code.get(_experiment(trial))
        for found in (self.codes.hash_of(trial), UserCodes().hash_of(trial)):
            if found != expected:
                now = f"the hash {found[:8]}…" if found else "a module missing"
                return (
                    f"the user's code has changed since the run started: found {now}, expected "
                    f"{(expected or 'none')[:8]}…; no trial mixes the two. Run the same command again to "
                    "train with the current code, or restore the old code first"
                )
        return ""

    def confirm(self, trial: Trial) -> None:
        """Note that the trial's model is built; raise ChangedCodeError if its code changed meanwhile."""
        if reason := self.refusal(trial):
            raise ChangedCodeError(reason)
        self._built.add(_callables(trial))


def code_of(versions: Versions) -> str:
    """Return the code that trains, as text: a checkpoint of another is not gone on from."""
    return " ".join(filter(None, (versions.harness_code, versions.user_code)))


def _experiment(trial: Trial) -> str:
    return f"{trial.folder}/{trial.experiment}"


def _callables(trial: Trial) -> str:
    """Return the callables of a trial with their settings."""
    settings = trial.settings
    sections = [settings.model, *(each.model_dump() for each in named_sections(settings))]
    return json.dumps(sections, sort_keys=True)
