"""Options of `harness submit` beside those of `run`, and the arguments of the jobs it submits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli import bounds
from harness.runner.launch.slurm_options import MEMORY, MOST_CPUS, MOST_NODES, MOST_RANKS, TIME_LIMIT

Nodes = Annotated[int | None, bounds.whole("--nodes", 1, MOST_NODES, "Nodes of the job. Default: 1.")]
GpusPerNode = Annotated[
    int | None, bounds.whole("--gpus-per-node", 0, MOST_RANKS, "GPUs on each node; 0 for none.")
]
CpusPerTask = Annotated[int | None, bounds.whole("--cpus-per-task", 1, MOST_CPUS, "CPUs on each node.")]
RanksPerNode = Annotated[
    int | None,
    bounds.whole("--nproc", 1, MOST_RANKS, "Ranks per node. Default: one per GPU, else one per CPU."),
]
Memory = Annotated[
    str | None, bounds.slurm_text("--mem", "SIZE", MEMORY, "Memory on each node, such as 32G.")
]
TimeLimit = Annotated[
    str | None,
    bounds.slurm_text("--time", "LIMIT", TIME_LIMIT, "Minutes, or H:MM:SS. Default: from estimates, if any."),
]
Partition = Annotated[
    str | None, typer.Option("--partition", metavar="NAME", help="The partition to queue in.")
]
Account = Annotated[str | None, typer.Option("--account", metavar="NAME", help="The account to charge.")]
Qos = Annotated[str | None, typer.Option("--qos", metavar="NAME", help="The quality of service.")]
Constraint = Annotated[
    str | None, typer.Option("--constraint", metavar="FEATURES", help="The features that nodes must have.")
]
MailUser = Annotated[
    str | None,
    typer.Option("--mail-user", metavar="ADDRESS", help="Who is mailed when the job ends or fails."),
]
Setup = Annotated[
    Path | None,
    typer.Option("--setup", help="A shell file that the job sources first: modules, environment."),
]
SbatchArguments = Annotated[
    list[str] | None,
    typer.Option(
        "--sbatch-arg", metavar="ARG", help="Another argument for sbatch, passed on as it is; repeatable."
    ),
]
ArrayJobs = Annotated[
    int | None,
    bounds.whole("--array", 1, 10_000, "So many jobs that share the trials instead of one job."),
]
AllowChangedCode = Annotated[
    bool,
    typer.Option(
        "--allow-changed-code", help="Train even if your code has changed since the job was submitted."
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Print what would be submitted, and submit nothing. The frozen suites are written.",
    ),
]


def written(parameters: Iterable[Any], given: Mapping[str, Any]) -> list[str]:
    """Return the values given to one command as the arguments of another that has these parameters.

    Values at their default are left out, paths are made absolute, and positional arguments come last, so that
    none of them can be taken for an option.
    """
    options, operands = [], []
    for each in parameters:
        value = given.get(each.name)
        for one in value if isinstance(value, list) else [value]:
            if one is None or (isinstance(one, bool) and one == each.default):
                continue
            text = str(one.absolute() if isinstance(one, Path) else one)
            if each.param_type_name == "argument":
                operands.append(text)
            elif isinstance(one, bool):
                options.append((each.opts if one else each.secondary_opts)[0])
            elif text != str(each.default):
                options.append(f"{each.opts[0]}={text}")
    return [*options, *operands]


def parameters_of(command: Callable[..., None]) -> list[Any]:
    """Return the parameters that typer gives a command, for `written`."""
    program = typer.Typer()
    program.command()(command)
    parameters: list[Any] = typer.main.get_command(program).params
    return parameters
