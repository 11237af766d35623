"""The page of a drill: what was killed, and what came of it."""

from __future__ import annotations

from benchmarks.kill_checks import Tally
from benchmarks.kill_plan import VICTIMS, Plan
from harness.markdown import table
from tests.support.fault_hook.drill import Place

_PLACES: dict[Place, str] = {
    "record": "writing the record of a done trial",
    "attempt": "writing the record of an attempt",
    "checkpoint": "writing a checkpoint",
    "claim": "taking a claim",
    "evaluate": "evaluating",
    "any": "at a random moment",
}


def page(plan: Plan, tally: Tally, rounds: int, starts: int, seconds: float, machine: str, seed: int) -> str:
    """Write the tables, with what was done and where."""
    restarts = sum(tally.starts.values())
    parts = [
        f"# {len(plan.hits)} kills",
        "Kills by SIGKILL: where a process was, and who was killed.",
        kill_table(plan),
        f"Found after them, in {rounds} rounds and {starts} starts of a run ({restarts} starts of a trial):",
        finding_table(tally),
        *(["Faults:", "\n".join(f"- {fault}" for fault in tally.faults)] if tally.faults else []),
        how_it_was_made(plan, seconds, machine, seed),
    ]
    return "\n\n".join(parts) + "\n"


def kill_table(plan: Plan) -> str:
    """Write a row for each place."""
    counts = plan.counts()
    rows = []
    for place, text in _PLACES.items():
        inside = sum(hit.order.place == place and hit.is_inside for hit in plan.hits)
        by_victim = [counts[place, victim] for victim in VICTIMS]
        rows.append([text, *by_victim, sum(by_victim), "" if place == "any" else inside])
    sums = [sum(counts[place, victim] for place in _PLACES) for victim in VICTIMS]
    inside = sum(hit.is_inside for hit in plan.hits)
    rows.append(["all", *sums, len(plan.hits), inside])
    head = ["A process was", "a rank (itself)", "another rank", "all ranks", "launcher alone"]
    head += ["launcher and ranks", "kills", "of them killed in the midst"]
    return table(head, [[str(cell) for cell in row] for row in rows])


def finding_table(tally: Tally) -> str:
    """Write what was found after all kills."""
    starts = tally.starts
    found: list[tuple[str, object]] = [
        ("records of done trials checked", tally.records),
        ("looks at a done record, after every kill and every run", tally.looks),
        ("records lost, changed, damaged, or of other figures; epochs told twice", len(tally.faults)),
        ("fp64: trials within 1e-9 of the uninterrupted one", tally.rounded),
        ("fp64: largest relative difference of any figure", f"{tally.largest_difference:.1e}"),
        ("fp32: trials that found the same bits", tally.exact),
        ("trials that went on from a checkpoint after an epoch", starts["went on after an epoch"]),
        ("trials that went on from a checkpoint within an epoch", starts["went on within an epoch"]),
        ("trials that started for the first time", starts["first start"]),
        ("trials that started again, nothing was saved yet", starts["from zero, nothing was saved yet"]),
        (
            "trials that started again, or from an older state, although one was saved",
            sum(count for how, count in starts.items() if "although" in how),
        ),
        ("left over beside the records", _named(tally)),
    ]
    return table(["Found", ""], [[name, str(value)] for name, value in found])


def _named(tally: Tally) -> str:
    return ", ".join(f"{kind} {count}" for kind, count in sorted(tally.leftovers.items())) or "nothing"


def how_it_was_made(plan: Plan, seconds: float, machine: str, seed: int) -> str:
    """Write what was done."""
    return f"""\
- Five ways to train two or four small trials each (KMNIST sample): 2 ranks under `ddp` in fp64 (after a
  killed launcher sometimes with 1 or 3), 2 under `ddp` in fp32, 2 (or 1) under `spread` in fp64, 1 in fp32,
  and 2 under `ddp` in fp32 with states saved within epochs (`--checkpoint-every 1s`). A round is one of them
  in a fresh folder: killed ranks start again by `--max-restarts`, after the launcher's end the same command
  is given again, at once or when its ranks have ended, until all trials are done.
- In the midst: before, half-way through, or at the end of a file that is written, when it has got its name,
  or right after; before or after a batch of the test set. The last column counts kills of which the process
  that was there itself died there. Where the launcher alone was killed, it
  stayed there until it ended by itself.
- After every kill all records are read: whole, and those that stood before unchanged, byte by byte. After
  every round figures are compared with those of an undisturbed run, epochs and ends that were told are
  counted, and where every start of a trial went on is compared with what had been saved before.
- Seed {seed}; moments depend on the machine. It took {seconds / len(plan.hits):.1f} s a kill and
  {seconds / 60:.0f} min in all, beside other work.
- {machine}.
- Made with `python -m benchmarks.kills`."""
