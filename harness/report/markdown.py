"""The table of a suite as Markdown, from its `suite.json` and its records alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.record import Record
from harness.report.cells import Row, difference, loss, percent, published_cell, published_figure
from harness.report.hyper_parameters import hyper_parameters
from harness.store import Found
from harness.suite import Suite

_DIGITS = {"experiments": 2, "runs": 3}
_METRICS = ["Final training loss", "Final training accuracy", "Final testing accuracy"]
_PUBLISHED = ["Published (loss / training / testing)", "Difference (points)"]


def table(suite: Suite, found: Sequence[Found]) -> str:
    """Write the suite's title, its table, its footnotes and what it was made from."""
    rows = [
        Row(
            name,
            [each for each in found if each.trial.experiment == name],
            suite.published.experiments.get(name) if suite.published else None,
        )
        for name in suite.experiments
    ]
    notes: list[str] = []
    lines = _runs(suite, rows, notes) if suite.table.style == "runs" else _experiments(suite, rows, notes)
    footnotes = [f"[^{number}]: {note}" for number, note in enumerate(notes, 1)]
    parts = [
        f"## {_escaped(suite.title)}",
        "\n".join(lines),
        "\n".join(footnotes),
        "\n".join(_source(suite, rows)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _experiments(suite: Suite, rows: Sequence[Row], notes: list[str]) -> list[str]:
    write = percent(_DIGITS["experiments"])
    shared, own = hyper_parameters(suite)
    means = [value.mean for row in rows if (value := row.test_accuracy())]
    lines = _header(suite, ["Experiment", "Common hyper-parameters", "Unique hyper-parameters", *_METRICS])
    for row in rows:
        test = row.test_accuracy()
        is_best = test is not None and len(rows) > 1 and test.mean == max(means)
        cells = [
            row.name,
            shared if row is rows[0] else "″",
            own[row.name] or "–",
            row.mean_cell(row.summary(lambda epoch: epoch.train_loss), loss),
            row.mean_cell(row.summary(lambda epoch: epoch.train_accuracy), write),
            _test_cell(row, row.mean_cell(test, write), notes, bold=is_best),
            *_published(suite, row, test.mean if test else None),
        ]
        lines.append(_line(cells))
    return lines


def _runs(suite: Suite, rows: Sequence[Row], notes: list[str]) -> list[str]:
    write = percent(_DIGITS["runs"])
    shared, own = hyper_parameters(suite)
    lines = _header(suite, ["Run", "Hyper-parameters", *_METRICS])
    for row in rows:
        prefix = f"{row.name}, " if len(rows) > 1 else ""
        for number, each in enumerate(row.found):
            settings = ", ".join(filter(None, (shared, own[row.name]))) if number == 0 else "″"
            run = Row(row.name, [each], row.published)
            figures = [
                "–" if not run.records else loss(run.records[0].epochs[-1].train_loss),
                "–" if not run.records else write(run.records[0].epochs[-1].train_accuracy),
                run.absent() if not run.records else write(run.records[0].epochs[-1].test_accuracy),
            ]
            test = run.test_accuracy()
            published = _published(suite, row, test.mean if test else None, number)
            lines.append(
                _line([f"{prefix}Run {number + 1} (seed {each.trial.seed})", settings, *figures, *published])
            )
        mean = row.test_accuracy()
        cells = [
            f"**{prefix}Mean ± std (n)**",
            "″",
            row.mean_cell(row.summary(lambda epoch: epoch.train_loss), loss),
            row.mean_cell(row.summary(lambda epoch: epoch.train_accuracy), write),
            _test_cell(row, row.mean_cell(mean, write), notes, bold=mean is not None),
            *_published(suite, row, mean.mean if mean else None),
        ]
        lines.append(_line(cells))
    return lines


def _header(suite: Suite, names: list[str]) -> list[str]:
    names = [*names, *(_PUBLISHED if suite.published else [])]
    return [_line(names), _line(["---"] * len(names))]


def _test_cell(row: Row, figure: str, notes: list[str], *, bold: bool) -> str:
    text = f"**{figure}**" if bold else figure
    text = "; ".join(filter(None, (text, row.absent())))
    mixed = _mixed(row.records)
    if mixed:
        notes.append(f"{row.name}: its runs do not share {mixed}.")
        text += f"[^{len(notes)}]"
    return text


def _mixed(records: Sequence[Record]) -> str:
    """Name what the records of one cell do not share, and the seeds on each side."""
    aspects: dict[str, Callable[[Record], str]] = {
        "code": lambda record: record.versions.code[:8],
        "devices": lambda record: ", ".join(sorted(set(record.hardware.devices))),
        "torch": lambda record: record.versions.torch,
    }
    found = []
    for name, aspect in aspects.items():
        seeds: dict[str, list[str]] = {}
        for record in records:
            seeds.setdefault(aspect(record), []).append(str(record.seed))
        if len(seeds) > 1:
            sides = "; ".join(
                f"{value}: seed{'s' * (len(those) > 1)} {', '.join(those)}"
                for value, those in sorted(seeds.items())
            )
            found.append(f"{name} ({sides})")
    return ", ".join(found)


def _published(suite: Suite, row: Row, mean: float | None, run: int | None = None) -> list[str]:
    if suite.published is None:
        return []
    digits = _DIGITS[suite.table.style]
    values = row.published.test_accuracy if row.published else None
    same = suite.published.dataset == suite.dataset.name
    return [
        published_cell(row.published, digits, run),
        difference(mean, published_figure(values, run), digits) if same else "–",
    ]


def _source(suite: Suite, rows: Sequence[Row]) -> list[str]:
    """Say what the figures are of and what they were made from."""
    records = [record for row in rows for record in row.records]
    size = f", {suite.dataset.resize} x {suite.dataset.resize} pixels" if suite.dataset.resize else ""
    lines = [
        f"Dataset: {suite.dataset.name}{size}. Seeds: {', '.join(map(str, suite.seeds))}. "
        "Figures are the last epoch's; ± is the sample standard deviation over the n seeds in parentheses."
    ]
    if suite.dataset.name == "kmnist_sample":
        lines.append(
            "These are results on a small sample of KMNIST's test images; they are not KMNIST results."
        )
    if suite.changed:
        changes = ", ".join(f"{key} = {value}" for key, value in suite.changed.items())
        lines.append(f"Settings changed for this run: {changes}.")
    if any(settings.training.allow_rank_dependent for settings in suite.experiments.values()):
        lines.append("Rank-dependent layers were allowed: results may depend on the number of ranks.")
    if suite.published is not None:
        note = f"Published figures: {suite.published.source}"
        if suite.published.dataset != suite.dataset.name:
            note += f", on {suite.published.dataset}, another dataset: no difference is taken"
        lines.append(note + ".")
    if records:
        devices = sorted({device for record in records for device in record.hardware.devices})
        torch = sorted({record.versions.torch for record in records})
        commits = sorted({_short(record.versions.commit) for record in records})
        lines.append(
            f"Made from {len(records)} record{'s' * (len(records) > 1)}: {', '.join(devices)}; "
            f"torch {', '.join(torch)}; "
            f"commit {', '.join(commits)}."
        )
    return [line + "\\" for line in lines[:-1]] + lines[-1:]


def _short(commit: str | None) -> str:
    if commit is None:
        return "unknown"
    revision, dash, dirty = commit.partition("-")
    return f"{revision[:8]}{dash}{dirty}"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_escaped(cell) for cell in cells) + " |"


def _escaped(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
