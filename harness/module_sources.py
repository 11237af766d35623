"""Sources of a user's callables: their modules, found as import would find them; nothing is run.

These are all modules of a callable's top-level package, and the modules that they import (by statement or by
a literal name) outside site-packages, the standard library and the harness. Other distributions count by name
and version. If a module imports a computed name, all modules beside it count.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from harness import import_statements, module_finder
from harness.module_finder import Module

# A record has fields of their own for their versions.
_TOLD_ELSEWHERE = ("harness", "torch")
_TOP_NAME = re.compile(rb"^[ \t]*(?:import|from)[ \t]+([A-Za-z_]\w*)", re.MULTILINE)


@dataclass(frozen=True)
class Sources:
    """Modules by their paths from the folder that is on the import path, and distributions as `name==1.0`.

    `places` are the paths of the same modules on this machine.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    places: dict[str, Path] = field(default_factory=dict)
    distributions: list[str] = field(default_factory=list)

    @cached_property
    def digests(self) -> dict[str, str]:
        """Return the SHA-256 of each module, by its path."""
        return {path: hashlib.sha256(content).hexdigest() for path, content in self.files.items()}

    @cached_property
    def hash(self) -> str:
        """Return the hash over all modules and over name and version of other distributions."""
        made_of = {"modules": self.digests, "distributions": self.distributions}
        return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()


def sources_of(modules: Iterable[str], search_path: list[str]) -> Sources | None:
    """Return the sources of these modules; None if one of them is not found on the path."""
    walk = _Walk(module_finder.Finder(search_path))
    for name in modules:
        if not walk.enter_own(name):
            return None
    names = sorted(walk.installed - walk.own)
    told = {
        text
        for name in names
        for text in module_finder.distributions(name, tuple(search_path))
        if text.partition("==")[0] not in _TOLD_ELSEWHERE
    }
    return Sources(dict(sorted(walk.files.items())), walk.places, sorted(told))


@dataclass
class _Walk:
    finder: module_finder.Finder
    files: dict[str, bytes] = field(default_factory=dict)
    places: dict[str, Path] = field(default_factory=dict)
    installed: set[str] = field(default_factory=set)
    own: set[str] = field(default_factory=set)
    entered: set[str] = field(default_factory=set)

    def enter_own(self, name: str) -> bool:
        """Enter a callable's module and the whole package that it is of; return whether it was found."""
        top, _, _ = name.partition(".")
        module = self.finder.top(top)
        if module is None:
            return False
        if top in _TOLD_ELSEWHERE or module.place in ("standard", "harness"):
            self.installed.add(top)
            return True
        self.own.add(top)
        self._add_package(module)
        return self.enter(name) and self.finder.find(name) is not None

    def enter(self, name: str, importer: Path | None = None) -> bool:
        """Enter a module by its full name, and the packages around it; return whether its top is found."""
        top, *rest = name.split(".")
        module = self.finder.top(top) or (importer and self.finder.nearby(top, importer))
        if not module:
            return False
        is_own = top in self.own
        if not is_own and module.place != "own":
            if module.place == "installed":
                self.installed.add(top)
            return True
        self._read(module)
        for part in rest:
            module = self.finder.below(module, part)
            if module is None:
                break  # a name that the package defines
            self._read(module)
        return True

    def _read(self, module: Module) -> None:
        """Add a module, and enter what it imports."""
        if module.name in self.entered:
            return
        self.entered.add(module.name)
        content = self._add(module)
        if content is None or module.file is None:
            return
        if module.place == "installed":  # its own package is there as a whole: others' names are enough
            for name in _TOP_NAME.findall(content):
                self.enter(name.decode())
            return
        found = import_statements.read(content, module.package)
        for name in found.names:
            self.enter(name, module.file)
        if found.is_open:
            self._enter_all_beside(module)

    def _add(self, module: Module) -> bytes | None:
        if module.file is None:
            return None
        content = _content(module.file)
        if content is not None:
            self.files[module.path], self.places[module.path] = content, module.file
        return content

    def _add_package(self, module: Module) -> None:
        """Add the contents of all modules of a package; what they import counts once they are imported."""
        enter = self._read if module.place == "installed" else self._add
        for each in [module, *self.finder.all_below(module)]:
            enter(each)

    def _enter_all_beside(self, module: Module) -> None:
        """Enter whatever a module that imports by a computed name may mean."""
        top = self.finder.top(module.name.partition(".")[0])
        if top and top.folders:
            for each in self.finder.all_below(top):
                self._read(each)
            return
        for each in self.finder.all_beside(module):
            self._read(each)


def _content(path: Path) -> bytes | None:
    """Return a module's content, its line ends as Python reads them; None if it cannot be read."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    return content.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if path.suffix == ".py" else content
