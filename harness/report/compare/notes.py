"""Notes of a comparison: absent trials, and other differences between the two sides."""

from __future__ import annotations

from collections.abc import Iterator

from harness.config.suite import Suite
from harness.report.aggregate import Entry, seeds_text
from harness.report.compare.pairing import EXECUTION, ComparedRow, ComparedTable
from harness.report.compare.side import Side
from harness.report.facts import in_sentence
from harness.report.hyper_parameters import hyper_parameters
from harness.results.metrics import OF_EPOCH

_MADE_WITH = ("Data digest", "User code", "torch", *EXECUTION)


def notes(table: ComparedTable) -> list[str]:
    """Return one sentence for each note, with the experiments to which it applies."""
    names: dict[str, list[str]] = {}
    for row in table.rows:
        for note in _of_row(row):
            names.setdefault(note, []).append(row.name)
    found = [
        f"{'All experiments' if 1 < len(table.rows) == len(those) else ', '.join(those)}: {note}."
        for note, those in names.items()
    ]
    for side, only in (("A", table.only_a), ("B", table.only_b)):
        if only:
            found.append(f"In {side} only, not compared: {', '.join(only)}.")
    return found


def _of_row(row: ComparedRow) -> Iterator[str]:
    for name, side in (("A", row.a), ("B", row.b)):
        for reason, seeds in side.row.absentees().items():
            yield f"{reason} in {name}: {seeds_text(seeds)}"
    yield from _left_out(row)
    yield from _settings(row)
    for fact in _MADE_WITH:
        if note := _unlike(in_sentence(fact), row.a.row.seeds_by(fact), row.b.row.seeds_by(fact)):
            yield note
    if note := _sameness(row.a, row.b):
        yield note


def _left_out(row: ComparedRow) -> Iterator[str]:
    ours, theirs = row.a.done.keys(), row.b.done.keys()
    accuracy = row.contrasts[0]
    if accuracy.pairs:
        for name, own in (("A", ours - theirs), ("B", theirs - ours)):
            if own:
                yield f"done in {name} only, left out: {seeds_text(sorted(own))}"
    for contrast in row.contrasts:
        for name, side in (("A", row.a), ("B", row.b)):
            unknown = [seed for seed, each in side.done.items() if contrast.metric.usable(each) is None]
            if unknown:
                yield f"no {in_sentence(contrast.metric.title)} in {name}: {seeds_text(unknown)}"


def _settings(row: ComparedRow) -> Iterator[str]:
    a, b = row.a, row.b
    ours, theirs = _dataset(a.suite), _dataset(b.suite)
    if ours != theirs:
        yield f"not the same dataset: {ours} in A; {theirs} in B"
    both = {"A": a.suite.experiments[a.row.name], "B": b.suite.experiments[b.row.name]}
    own = hyper_parameters(a.suite.model_copy(update={"experiments": both}))[1]
    if own["A"] != own["B"]:
        yield f"hyper-parameters differ: {own['A'] or 'defaults'} in A; {own['B'] or 'defaults'} in B"


def _dataset(suite: Suite) -> str:
    side = suite.dataset.resize
    return suite.dataset.title + (f" at {side} x {side} pixels" if side else "")


def _unlike(word: str, a: dict[str, list[int]], b: dict[str, list[int]]) -> str:
    """Return, as text, how a fact differs between the sides, or within one."""
    if len({*a, *b}) < 2:
        return ""
    sides = []
    for name, side in (("A", a), ("B", b)):
        values = [
            f"{value} ({seeds_text(seeds)})" if len(side) > 1 else value for value, seeds in side.items()
        ]
        if values:
            sides.append(f"{' and '.join(values)} in {name}")
    return f"not the same {word}: {'; '.join(sides)}"


def _sameness(a: Side, b: Side) -> str:
    """Describe how many pairs of trials have equal inputs, and how many of those have equal bits."""
    both = [(own, b.done[seed]) for seed, own in a.done.items() if seed in b.done]
    alike = [(x, y) for x, y in both if _made_of(x) == _made_of(y)]
    same = sum(
        all(x.epochs[name].tobytes() == y.epochs[name].tobytes() for name in OF_EPOCH) for x, y in alike
    )
    if not alike:
        return ""
    number, bits = len(alike), "all" if same == len(alike) else same or "none"
    return (
        f"settings, seed, data and code are the same in {number} pair{'s' * (number > 1)}; "
        f"every epoch's figures are the same bits in {bits} of them"
    )


def _made_of(entry: Entry) -> tuple[str, ...]:
    assert entry.record
    versions = entry.record.versions
    codes = versions.harness_code or "", versions.user_code or "", versions.code or ""
    return entry.record.digest, *codes, entry.record.data_digest
