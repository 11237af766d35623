"""The table of a suite as Markdown, from its `suite.json` and its records alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from harness.report.cells import Entry, Row, difference, loss, percent, published_cell, published_figure
from harness.report.hyper_parameters import hyper_parameters
from harness.suite import Suite

_DIGITS = {"experiments": 2, "runs": 3}
_METRICS = ["Final training loss", "Final training accuracy", "Final testing accuracy"]
_PUBLISHED = ["Published (loss / training / testing)", "Difference (points)"]


def table(suite: Suite, entries: Iterable[Entry]) -> str:
    """Write the suite's title, its table, its footnotes and what it was made from."""
    of: dict[str, list[Entry]] = {name: [] for name in suite.experiments}
    for each in entries:
        of[each.experiment].append(each)
    published = suite.published.experiments if suite.published else {}
    rows = [Row(name, its, published.get(name)) for name, its in of.items()]
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
    means = [value.mean for row in rows if (value := row.test_accuracy)]
    lines = _header(suite, ["Experiment", "Common hyper-parameters", "Unique hyper-parameters", *_METRICS])
    for row in rows:
        test = row.test_accuracy
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
        for number, each in enumerate(row.entries):
            settings = ", ".join(filter(None, (shared, own[row.name]))) if number == 0 else "″"
            run = Row(row.name, [each], row.published)
            figures = [
                "–" if each.last is None else loss(each.last.train_loss),
                "–" if each.last is None else write(each.last.train_accuracy),
                run.absent() if each.last is None else write(each.last.test_accuracy),
            ]
            test = run.test_accuracy
            published = _published(suite, row, test.mean if test else None, number)
            lines.append(
                _line([f"{prefix}Run {number + 1} (seed {each.seed})", settings, *figures, *published])
            )
        mean = row.test_accuracy
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
    mixed = _mixed(row.done)
    if mixed:
        notes.append(f"{row.name}: its runs do not share {mixed}.")
        text += f"[^{len(notes)}]"
    return text


def _mixed(entries: Sequence[Entry]) -> str:
    """Name what the records of one cell do not share, and the seeds on each side."""
    aspects: dict[str, Callable[[Entry], str]] = {
        "code": lambda each: each.code[:8],
        "devices": lambda each: ", ".join(each.devices),
        "torch": lambda each: each.torch,
    }
    found = []
    for name, aspect in aspects.items():
        seeds: dict[str, list[str]] = {}
        for each in entries:
            seeds.setdefault(aspect(each), []).append(str(each.seed))
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
    done = [each for row in rows for each in row.done]
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
    if done:
        devices = sorted({device for each in done for device in each.devices})
        torch = sorted({each.torch for each in done})
        commits = sorted({_short(commit) for commit in {each.commit for each in done}})
        lines.append(
            f"Made from {len(done)} record{'s' * (len(done) > 1)}: {', '.join(devices)}; "
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
