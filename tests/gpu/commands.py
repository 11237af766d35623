"""The harness's own commands that the parts run: as on a card, and the small ones of a rehearsal."""

from __future__ import annotations

ON_CARD: dict[str, list[str]] = {
    "main": ["run", "suites/fashion/final.yaml", "--set", "training.epochs=2"],
    "killed": [
        *("run", "suites/fashion/patch_size.yaml", "--only", "exp-3", "--seeds", "1"),
        *("--set", "training.epochs=12", "--checkpoint-every", "1s", "--no-calibrate"),
    ],
    "wrong": ["run", "tests/gpu/wrong.yaml", "--trials-per-device", "8", "--no-calibrate"],
    "narrow": ["run", "tests/gpu/narrow.yaml", "--trials-per-device", "2", "--no-calibrate"],
    "bench": ["bench", "suites/fashion/final.yaml", "--seconds", "15"],
    "drill": ["drill", "suites/fashion/patch_size.yaml", "--only", "exp-3", "--epochs", "6"],
    "final": ["run", "suites/fashion/final.yaml", "--set", "training.precision=bf16"],
}

_SMALL = ["tests/gpu/rehearsal.yaml", "--device", "cpu", "--nproc", "1"]
IN_REHEARSAL: dict[str, list[str]] = {
    "main": ["run", *_SMALL],
    "killed": ["run", *_SMALL, "--set", "training.epochs=6", "--no-calibrate"],
    "wrong": ["run", "tests/gpu/wrong.yaml", *_SMALL[1:], "--seeds", "1"],
    "narrow": ["run", "tests/gpu/narrow.yaml", *_SMALL[1:]],
    "bench": ["bench", *_SMALL, "--seconds", "1"],
    "drill": ["drill", *_SMALL],
    "final": ["run", *_SMALL],
}
