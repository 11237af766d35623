"""Sentences under a table: dataset, seeds, statistical methods, and the records it was made from."""

from __future__ import annotations

from harness.report.aggregate import Row, SuiteResults, numbers_text, seeds_text
from harness.report.facts import short
from harness.report.published import verdict_notes
from harness.stats import binomial_half_width


def source(contents: SuiteResults, digits: int) -> list[str]:
    """Return the sentences, one line each."""
    suite = contents.suite
    lines = [_figures(contents), *_chosen(contents), *_test_set(contents), *_adaptive(contents)]
    if suite.dataset.note:
        lines.append(suite.dataset.note)
    if suite.changed:
        changes = ", ".join(f"{key} = {value}" for key, value in suite.changed.items())
        lines.append(f"Settings changed for this run: {changes}.")
    if any(settings.training.allow_rank_dependent for settings in suite.experiments.values()):
        lines.append("Rank-dependent layers were allowed: results may depend on the number of ranks.")
    fixed = [
        row.name
        for row in contents.rows
        if any(each.record and each.record.has_fixed_weights for each in row.done)
    ]
    if fixed:
        lines.append(
            f"All seeds of {', '.join(fixed)} began with the same weights, which the model's build fixes: ± "
            "covers the order of the data and dropout alone."
        )
    if suite.published is not None:
        note = f"Published figures: {' '.join(suite.published.source.split())}"
        if not contents.is_published_dataset:
            note += f", on {suite.published.dataset}, another dataset: no difference is taken"
        lines.append(note + ".")
    notes = verdict_notes(contents, digits), _made_from(contents), _other_data(contents), _set_aside(contents)
    return [*lines, *(note for each in notes for note in each)]


def _chosen(contents: SuiteResults) -> list[str]:
    rule, chosen = contents.suite.choose, contents.chosen
    if rule is None or chosen is None:
        return []
    how = f"Chosen by the {rule.by.replace('_', ' ')}: {chosen.name}"
    if rule.by == "test_accuracy":
        return [f"{how}. As the test set itself decided, its figure there is better than on new data."]
    return [f"{how}. The table shows the test set's figures for it alone."]


def _figures(contents: SuiteResults) -> str:
    suite = contents.suite
    seeds = "" if suite.seed_rule else f" Seeds: {numbers_text(suite.seeds)}."
    asked = {settings.training.epoch for settings in suite.experiments.values()}
    epochs = {"last": "last epoch's", "best_on_validation": "best epoch's on validation"}
    epoch = " or the ".join(text for key, text in epochs.items() if key in asked)
    return (
        f"Dataset: {suite.dataset.description}.{seeds} Figures are the {epoch}; ± is the sample "
        "standard deviation over the n seeds in parentheses, and the interval is Student's t"
        f"{_cut_off(contents)}."
    )


def _cut_off(contents: SuiteResults) -> str:
    """Return a note if an interval is cut off at 0 or 100 %, beyond which no accuracy is."""
    found = [row.test_accuracy for row in contents.rows if row.test_accuracy]
    is_cut = any(each.interval_of_fraction() != each.interval() for each in found)
    return ", cut off at 0 and 100 %" if is_cut else ""


def _test_set(contents: SuiteResults) -> list[str]:
    """Return the sampling error of the test set, which all seeds share, apart from their spread."""
    means = [row.test_accuracy.mean for row in contents.rows if row.test_accuracy]
    images = next((each.samples.get("test") for row in contents.rows for each in row.done), None)
    if not means or images is None:
        return []
    half = max(binomial_half_width(mean, images) for mean in means)
    return [
        f"The test set is a sample too: {images:,} images determine an accuracy to ±{100 * half:.2f} points "
        "at most (95 %, binomial). All seeds share this error; no figure above includes it."
    ]


def _adaptive(contents: SuiteResults) -> list[str]:
    """Return the rule for the number of seeds, and the experiments where it is undecided or was capped."""
    rule = contents.suite.seed_rule
    if rule is None:
        return []
    line = (
        f"Seeds: {rule.at_least} to {rule.at_most}, as many as an interval of "
        f"±{rule.half_width_points:g} points needs, decided once from seeds 1 to {rule.at_least} (Stein's "
        "two stages); intervals use the spread of those."
    )
    return [" ".join([line, *filter(None, map(_decision, contents.rows))])]


def _decision(row: Row) -> str:
    decision = row.decision
    if decision is None or decision.deciding is None or decision.needed is None:
        return f"{row.name}: not decided yet."
    if decision.needed <= decision.seeds:
        return ""
    half = row.test_accuracy.half_width() if row.test_accuracy else None
    reached = "" if half is None else f", and the interval is ±{100 * half:.2f} points"
    return f"{row.name}: {decision.needed:,} were needed, the cap is {decision.seeds}{reached}."


def _made_from(contents: SuiteResults) -> list[str]:
    records = [each.record for row in contents.rows for each in row.done if each.record]
    if not records:
        return []
    devices = sorted({device for each in records for device in each.hardware.devices})
    torch = sorted({each.versions.torch for each in records})
    libraries = sorted({each.versions.model_library or "" for each in records} - {""})
    software = "; ".join([f"torch {', '.join(torch)}", *libraries])
    commits = sorted({short(each.commit) for each in records})
    return [
        f"Made from {len(records)} record{'s' * (len(records) > 1)}: {', '.join(devices)}; "
        f"{software}; commit {', '.join(commits)}."
    ]


def _other_data(contents: SuiteResults) -> list[str]:
    """Return which records were made from other data than the suite's, and are not counted."""
    stale: dict[str, list[str]] = {}
    for row in contents.rows:
        seeds: dict[str, list[int]] = {}
        for each in row.entries:
            if each.other_data:
                seeds.setdefault(each.other_data, []).append(each.seed)
        for digest, own in seeds.items():
            stale.setdefault(digest, []).append(f"{row.name} {seeds_text(own)}")
    if not stale:
        return []
    others = "; ".join(f"digest {digest[:8]}: {', '.join(those)}" for digest, those in sorted(stale.items()))
    return [
        f"Stale records, made from other data and in no figure above: {others}. The data of the figures "
        f"above have the digest {contents.suite.data_digest[:8]}."
    ]


def _set_aside(contents: SuiteResults) -> list[str]:
    if not contents.superseded:
        return []
    counts = "; ".join(f"{name}: {count}" for name, count in contents.superseded.items())
    return [f"Superseded records, kept and in no figure above: {counts}."]
