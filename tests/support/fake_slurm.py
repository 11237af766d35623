"""Stand-ins for SLURM's programs, and what they were called with."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from harness.runner.launch import slurm_options

SUITE = """\
suite: small
title: A small suite
dataset: {name: kmnist_sample, resize: 8}
seeds: 2
common: {training: {epochs: 2, batch_size: 600, optimizer: {name: Adam, lr: 0.01}}}
experiments:
  mixer: {model: {name: patch_mixer, patch_size: 4, width: 12, hidden: [8]}}
  mlp: {model: {name: mlp, hidden: [16], dropout: 0.2}}
"""
HOSTILE = 'it\'s "one" $(touch pwned); `touch pwned` %j\n& two'
# Stands for sbatch: keeps what it was called with, then says what the test wants it to.
SBATCH = f"""\
#!{sys.executable}
import json, os, sys
with open(os.environ["CALLS"], "a") as file:
    file.write(json.dumps([sys.argv[1:], dict(os.environ)]) + "\\n")
number = len(open(os.environ["CALLS"]).readlines())
if number >= int(os.environ.get("REFUSED_FROM", "9")):
    sys.exit("sbatch: error: invalid partition specified: nope")
print(f"{{100 + number}};local")
"""


def program(path: Path, text: str) -> None:
    """Write a program that can be called."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


def calls() -> list[tuple[list[str], dict[str, str]]]:
    """Return the arguments and the environment of every call of sbatch."""
    path = Path(os.environ["CALLS"])
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [(arguments, env) for arguments, env in map(json.loads, lines)]


def defaults(text: str) -> Path:
    """Write a user's defaults file."""
    path = slurm_options.defaults_path(os.environ)
    assert path is not None
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


# Stands for srun: keeps its arguments and what its job is told, does what the test says, ends with a code.
SRUN = """\
#!/bin/bash
printf '%s\\0' "$@" >srun
env -0 >environment
eval "$DOING"
"""


# Stands for scontrol: says of a job what the test wants it to, keeps what else it is called with.
SCONTROL = """\
#!/bin/bash
if [ "$1" = show ]; then printf '%s\n' "$SHOWN"; else echo "$@" >>scontrol; fi
"""
