"""`python -m tests.gpu PART...`: run parts of the check on a card; REHEARSAL=1 rehearses them on a CPU."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path

from tests.gpu.parts import PARTS, run


def main(names: list[str]) -> int:
    """Run the parts within BUDGET seconds; write $OUT/facts.json; return 1 where something is wrong."""
    started, budget = time.monotonic(), float(os.environ.get("BUDGET", "480"))
    out = Path(os.environ.setdefault("OUT", ".gpu/out")).absolute()
    out.mkdir(parents=True, exist_ok=True)
    os.environ["OUT"] = str(out)
    names = names or [name for name, part in PARTS.items() if not part.is_extra]
    names = ["where", *(name for name in names if name != "where")]  # no figure without its card
    if unknown := [name for name in names if name not in PARTS]:
        print(f"unknown parts {unknown}; known: {' '.join(PARTS)}")
        return 2
    found: dict[str, object] = {}
    wrong = []
    for name in names:
        begun = time.monotonic()
        print(f"\n== {name}, at {begun - started:.0f} s", flush=True)
        left = budget - (begun - started)
        facts = run(name, is_rehearsal=bool(os.environ.get("REHEARSAL")), seconds=left) if left > 5 else []
        seconds = time.monotonic() - begun
        is_wrong = not facts or any(fact.ok is False for fact in facts)
        wrong += [name] if is_wrong else []
        print(f"== {name}: {'WRONG' if is_wrong else 'ok'}, {seconds:.1f} s", flush=True)
        found[name] = {"seconds": round(seconds, 1), "facts": [asdict(fact) for fact in facts]}
        (out / "facts.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(f"\n{len(names) - len(wrong)} of {len(names)} parts ok; WRONG: {' '.join(wrong) or 'none'}")
    return int(bool(wrong))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # a part under way is ended first
    sys.exit(main(sys.argv[1:]))
