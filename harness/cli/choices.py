"""Choices among a suite's experiments and seeds, as options give them."""

from __future__ import annotations

from harness.config.suite import Suite
from harness.errors import UsageError, nearest


def known_experiments(found: list[str], suites: list[Suite], option: str = "--only") -> list[str]:
    """Return the experiments given by an option; raise UsageError for one that no suite has."""
    known = [name for suite in suites for name in suite.experiments]
    for name in found:
        if name not in known:
            raise UsageError(f"{option} {name}: no such experiment; {nearest(name, known)}")
    return found


def retrained(found: list[str], only: list[str], suites: list[Suite]) -> list[str]:
    """Return the experiments given by --retrain; raise UsageError for one that is not trained."""
    for name in known_experiments(found, suites, "--retrain"):
        if only and name not in only:
            raise UsageError(f"--retrain {name}: --only leaves it out; {nearest(name, only)}")
    return found


def chosen_seeds(text: str | None, suites: list[Suite]) -> list[int]:
    """Return the seeds given by --seeds; raise UsageError for one that no suite has."""
    if text is None:
        return []
    known = sorted({seed for suite in suites for seed in suite.seeds})
    chosen = []
    for part in text.split(","):
        if not part.strip().isdecimal() or len(part) > 20 or int(part) not in known:
            raise UsageError(
                f"--seeds {text}: found {part.strip()!r}, expected some of {known}, such as --seeds 1,2"
            )
        chosen.append(int(part))
    return chosen
