"""User code of a trial: a hash over all modules that its callables are made of, by name and content.

A model of a library (`torchvision:resnet18`) is made of the library's version.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.config.settings import Settings
from harness.config.suite import Trial
from harness.model_libraries import library_of
from harness.module_sources import Sources, sources_of
from harness.plugins import is_callable_path, search_path


@dataclass(frozen=True)
class UserCode:
    """The modules of a user's callables, as they are on disk."""

    callables: tuple[str, ...]
    sources: Sources

    @property
    def digests(self) -> dict[str, str]:
        """Return the SHA-256 of each module, by its path."""
        return self.sources.digests

    @property
    def hash(self) -> str:
        """Return the hash over all modules and over name and version of other distributions."""
        return self.sources.hash


def named_sections(settings: Settings) -> list[Any]:
    """Return the sections beside the model that may name a callable of the user's."""
    training = settings.training
    sections = (settings.dataset, training.optimizer, training.scheduler, training.loss)
    return [each for each in sections if each is not None]


def callables_of(settings: Settings) -> tuple[str, ...]:
    """Return the user's own callables that a trial is made of."""
    names = [str(settings.model.get("name")), *(each.name for each in named_sections(settings))]
    return tuple(dict.fromkeys(filter(is_callable_path, names)))


@dataclass
class UserCodes:
    """User code as it was when first asked for; a new instance reads the disk again."""

    _known: dict[tuple[str, ...], UserCode | None] = field(default_factory=dict)

    def of(self, settings: Settings) -> UserCode | None:
        """Return a trial's user code; None if it has none, or if a module is not found."""
        callables = callables_of(settings)
        if callables and callables not in self._known:
            found = _sources_of(callables)
            self._known[callables] = None if found is None else UserCode(callables, found)
        return self._known.get(callables)

    def hash_of(self, trial: Trial) -> str | None:
        """Return the hash of a trial's user code, None if it has none; empty if a module is not found."""
        if not callables_of(trial.settings):
            return None
        code = self.of(trial.settings)
        return code.hash if code else ""

    def all_of(self, trials: Iterable[Trial]) -> list[UserCode]:
        """List the different user codes of these trials."""
        found = {code.hash: code for each in trials if (code := self.of(each.settings))}
        return list(found.values())

    def places_of(self, trials: Iterable[Trial]) -> list[Path]:
        """List the files of these trials' user code."""
        return sorted({place for code in self.all_of(trials) for place in code.sources.places.values()})


def _sources_of(callables: Iterable[str]) -> Sources | None:
    """Return the sources of these callables; of a library's model that is the library's version."""
    libraries = {name: library for name in callables if (library := library_of(name))}
    own = sources_of([name.partition(":")[0] for name in callables if name not in libraries], search_path())
    versions = [each.distribution for each in libraries.values()]
    if own is None or None in versions:
        return None
    return replace(own, distributions=sorted([*own.distributions, *filter(None, versions)]))


def job_code(trials: Iterable[Trial], codes: UserCodes) -> str:
    """Hash the work of a job: its trials' settings, seeds and numerics, and their user code."""
    made_of = sorted((each.key, each.digest, codes.hash_of(each)) for each in trials)
    return hashlib.sha256(json.dumps(made_of).encode()).hexdigest()
