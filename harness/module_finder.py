"""Finder of modules: where `import` would find a name, without importing anything."""

from __future__ import annotations

import contextlib
import importlib.metadata
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES, BuiltinImporter, FrozenImporter, ModuleSpec, PathFinder
from pathlib import Path
from typing import Literal

import harness

Place = Literal["own", "installed", "standard", "harness"]

_HARNESS = Path(harness.__file__).resolve().parent
_SUFFIXES = (*EXTENSION_SUFFIXES, ".py", ".pyc")  # in the order in which import prefers them
_INSTALLED = ("site-packages", "dist-packages")


@dataclass(frozen=True)
class Module:
    """A module: its file (None for a namespace package), its folders if it is a package, and its place."""

    name: str
    file: Path | None
    folders: tuple[Path, ...]
    place: Place

    @property
    def package(self) -> str:
        """Return the package from which its relative imports are taken; empty if there is none."""
        return self.name if self.folders else self.name.rpartition(".")[0]

    @property
    def path(self) -> str:
        """Return its file's path from the folder that is on the import path."""
        own = self.name.replace(".", "/")
        suffix = next((each for each in _SUFFIXES if self.file and self.file.name.endswith(each)), "")
        return f"{own}/__init__{suffix}" if self.folders else f"{own}{suffix}"


@dataclass
class Finder:
    """Finder of modules on one search path, as import would find them; it imports nothing."""

    search_path: list[str]
    _tops: dict[str, Module | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        PathFinder.invalidate_caches()  # files may be new

    def top(self, name: str) -> Module | None:
        """Find a module by its name without dots; None if there is none."""
        if name not in self._tops:
            self._tops[name] = self._top(name)
        return self._tops[name]

    def _top(self, name: str) -> Module | None:
        if not name.isidentifier():
            return None
        if BuiltinImporter.find_spec(name) or FrozenImporter.find_spec(name):
            return Module(name, None, (), "standard")
        spec = PathFinder.find_spec(name, self.search_path) or _hooked(name)
        if spec is None:
            return None
        has_file = spec.has_location and spec.origin is not None
        file = Path(spec.origin) if has_file and spec.origin else None
        folders = tuple(
            path for each in spec.submodule_search_locations or () if (path := Path(each)).is_dir()
        )
        anywhere = file or (folders[0] if folders else None)
        if anywhere is None:
            return None
        place = _place(anywhere)
        if place == "installed" and not distributions(name, tuple(self.search_path)):
            place = "own"  # copied there without an installer
        return Module(name, file, folders, place)

    def find(self, name: str) -> Module | None:
        """Find a module by its full name."""
        top, *rest = name.split(".")
        module = self.top(top)
        for part in rest:
            module = self.below(module, part) if module else None
        return module

    def below(self, package: Module, part: str) -> Module | None:
        """Find a module in a package."""
        name = f"{package.name}.{part}"
        if found := _in_folders(name, package.folders, package.place):
            return found
        spec = _hooked(name, [str(folder) for folder in package.folders])
        if spec is None or spec.origin is None:
            return None
        folders = tuple(map(Path, spec.submodule_search_locations or ()))
        return Module(name, Path(spec.origin), folders, _place(Path(spec.origin)))

    def all_below(self, package: Module, seen: frozenset[Path] = frozenset()) -> Iterator[Module]:
        """Yield all modules of a package that its folders hold, those of its packages too."""
        seen |= {folder.resolve() for folder in package.folders}
        for part in sorted({_stem(path) for folder in package.folders for path in _listed(folder)}):
            module = self.below(package, part) if part.isidentifier() and part != "__init__" else None
            if module is None or any(each.resolve() in seen or _is_alien(each) for each in module.folders):
                continue
            yield module
            if module.folders:
                yield from self.all_below(module, seen)

    def all_beside(self, module: Module) -> Iterator[Module]:
        """Yield the modules and packages in the folder of a top-level module."""
        folder = module.file.parent if module.file else Path()
        for part in sorted({_stem(path) for path in _listed(folder)}):
            found = _in_folders(part, (folder,), module.place) if part.isidentifier() else None
            if found and found.file:
                yield found
                yield from self.all_below(found)

    def nearby(self, name: str, importer: Path) -> Module | None:
        """Find a top-level module outside the import path: beside or above its importer, or one folder below.

        A module that changes `sys.path` at its head usually means one of these.
        """
        here = importer.parent
        below = (path for path in _listed(here) if path.is_dir() and path.name.isidentifier())
        for folder in [here, here.parent, *below]:
            found = _in_folders(name, (folder,), "own")
            if found and found.file:
                self._tops[name] = found
                return found
        return None


def _in_folders(name: str, folders: Sequence[Path], place: Place) -> Module | None:
    """Find a module in the folders of its package, as import's own finder does."""
    part = name.rpartition(".")[2]
    portions = []
    for own in (folder / part for folder in folders):
        for path, own_folders in ((own / "__init__", (own,)), (own, ())):
            for suffix in _SUFFIXES:
                file = path.with_name(path.name + suffix)
                if file.is_file():
                    return Module(name, file, own_folders, place)
        if part.isidentifier() and own.is_dir():
            portions.append(own)
    return Module(name, None, tuple(portions), place) if portions else None


@cache
def distributions(name: str, search_path: tuple[str, ...]) -> tuple[str, ...]:
    """List the installed distributions that have a top-level module, as `name==version`."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return (f"{name}=={importlib.metadata.version(name)}",)  # most are called as their module is
    found = set()
    for each in _names(search_path).get(name, ()):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found.add(f"{each}=={importlib.metadata.version(each)}")
    return tuple(sorted(found))


@cache
def _names(search_path: tuple[str, ...]) -> dict[str, list[str]]:
    del search_path  # installed files do not change while a process runs, but the path may
    return dict(importlib.metadata.packages_distributions())


def _hooked(name: str, path: Sequence[str] | None = None) -> ModuleSpec | None:
    """Ask the finders that packages have added, as editable installs do."""
    for finder in sys.meta_path:
        if finder in (BuiltinImporter, FrozenImporter, PathFinder):
            continue
        with contextlib.suppress(Exception):
            if (spec := finder.find_spec(name, path)) is not None:
                return spec
    return None


def _place(path: Path) -> Place:
    paths = {path.absolute(), path.resolve()}
    if any(_HARNESS in (each, *each.parents) for each in paths):
        return "harness"
    if any(part in _INSTALLED for each in paths for part in each.parts):
        return "installed"
    standard = {Path(sysconfig.get_path(key)) for key in ("stdlib", "platstdlib")}
    standard |= {each.resolve() for each in standard}
    return "standard" if any(each in one.parents for one in paths for each in standard) else "own"


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _stem(path: Path) -> str:
    """Return the import name of a file or folder; an impossible name if it has none."""
    if path.is_dir():
        return path.name if path.name != "__pycache__" else "."
    return next((path.name.removesuffix(each) for each in _SUFFIXES if path.name.endswith(each)), ".")


def _is_alien(folder: Path) -> bool:
    """Return whether a folder within a package is an environment of its own, or this program."""
    return (folder / "pyvenv.cfg").exists() or folder.resolve() == _HARNESS
