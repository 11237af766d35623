"""Published curves: reads their CSV file, a line for each epoch of each run; checks experiment names."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.config.published import PublishedCurve
from harness.config.suite_text import folder_of, is_file
from harness.config.validation import Checker
from harness.errors import nearest

_FIGURES = ("train_loss", "train_accuracy", "test_accuracy")
_HEADER = ["experiment", "epoch", *_FIGURES]


def read(path: Path, experiments: Sequence[str]) -> dict[str, list[PublishedCurve]]:
    """Return the curves of these experiments; a line names its run `<experiment>` or `<experiment>-run-<n>`.

    Raise OSError or ValueError with the mistake in the file.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file)
        header = next(lines, [])
        if header != _HEADER:
            raise ValueError(f"line 1: found {','.join(header)!r}, expected {','.join(_HEADER)!r}")
        runs: dict[str, dict[int, list[float]]] = {}
        for line in lines:
            run, epoch, figures = _line(line, lines.line_num)
            if epoch in runs.setdefault(run, {}):
                raise ValueError(f"line {lines.line_num}: found epoch {epoch} of {run!r} twice")
            runs[run][epoch] = figures
    found = {
        name: curves
        for name in experiments
        if (curves := [_curve(run, runs[run]) for run in sorted(runs) if _experiment(run) == name])
    }
    if not found and experiments:
        of = ", ".join(sorted(runs)) or "nothing"
        raise ValueError(f"found curves of {of}, expected some of {', '.join(experiments)}")
    return found


def _experiment(run: str) -> str:
    name, _, number = run.rpartition("-run-")
    return name if name and number.isdecimal() else run


def _line(line: Sequence[str], number: int) -> tuple[str, int, list[float]]:
    try:
        run, epoch, *figures = line
        loss, train, test = map(float, figures)
        if int(epoch) < 1 or not 0 <= loss < float("inf") or not (0 <= train <= 1 and 0 <= test <= 1):
            raise ValueError
        return run, int(epoch), [loss, train, test]
    except ValueError:
        raise ValueError(
            f"line {number}: found {','.join(line)!r}, expected a name, an epoch, a loss and two fractions"
        ) from None


def _curve(run: str, epochs: dict[int, list[float]]) -> PublishedCurve:
    columns = zip(*(epochs[epoch] for epoch in sorted(epochs)), strict=True)
    figures = dict(zip(_FIGURES, map(list, columns), strict=True))
    return PublishedCurve(run=run, epoch=sorted(epochs), **figures)


def published_curves(
    data: Mapping[str, Any], experiments: Mapping[str, Any], checker: Checker
) -> dict[str, list[PublishedCurve]]:
    """Check that the published experiments exist in the suite; return the published curves."""
    published = data.get("published")
    if not isinstance(published, dict):
        return {}
    figures = published.get("experiments")
    unknown = set(figures) - set(experiments) if isinstance(figures, dict) else set()
    for name in sorted(unknown) if experiments else ():
        text = f"unknown experiment {name!r}; {nearest(name, experiments)}"
        checker.add(("published", "experiments", name), text, [()])
    curves = published.get("curves")
    if isinstance(curves, str):
        said_in = Path(checker.document.places["published", "curves"].rpartition(":")[0])
        file = folder_of(said_in) / curves
        if not is_file(file):
            checker.add(("published", "curves"), f"found {curves!r}, but there is no file {file}", [()])
            return {}
        try:
            return read(file, list(experiments))
        except (OSError, ValueError) as error:
            checker.add(("published", "curves"), f"found {curves!r}: {error}", [()])
    return {}
