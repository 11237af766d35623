"""Facts: what a part of the check found, a line each, right, wrong, or neither."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Fact:
    """What was found; `ok` is None where nothing is expected of it."""

    name: str
    value: str
    ok: bool | None = None

    def __str__(self) -> str:
        verdict = {None: "", True: "ok", False: "WRONG"}[self.ok]
        return f"  {verdict:5} {self.name}: {self.value}"


@dataclass
class Facts:
    """Takes facts down as they are found, so that those of a part that crashes are there."""

    path: Path

    def note(self, name: str, value: object) -> None:
        """Take down what nothing is expected of."""
        self._add(Fact(name, str(value)))

    def check(self, name: str, value: object, ok: bool) -> None:
        """Take down what is right or wrong."""
        self._add(Fact(name, str(value), bool(ok)))

    def equal(self, name: str, found: object, expected: object) -> None:
        """Take down what is right where it is what was expected."""
        is_equal = found == expected
        self.check(name, found if is_equal else f"{found}, expected {expected}", is_equal)

    @contextmanager
    def survives(self, name: str) -> Iterator[None]:
        """Take an exception down as wrong, and go on."""
        try:
            yield
        except Exception as error:
            self.check(name, f"{type(error).__name__}: {str(error).partition(chr(10))[0]}", False)

    def _add(self, fact: Fact) -> None:
        print(str(fact)[:400], flush=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(fact)) + "\n")


def read(path: Path) -> list[Fact]:
    """Return the facts that were taken down."""
    if not path.exists():
        return []
    return [Fact(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
