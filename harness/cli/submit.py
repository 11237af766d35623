"""The command that has a cluster train."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from harness.cli import results as results_commands
from harness.cli import train
from harness.cli.options import (
    Calibrate,
    Changes,
    CheckpointEvery,
    DataDir,
    DeviceOption,
    Engine,
    EngineChoice,
    Log,
    Only,
    PlacementChoice,
    PlacementOption,
    Results,
    RetryDiverged,
    SaveModel,
    SeedList,
    StaleAfter,
    Suites,
    Timeout,
    TrialsPerDevice,
    Wait,
    chosen_seeds,
    known_experiments,
    load,
    seconds_of,
)
from harness.cli.submit_options import (
    Account,
    AllowChangedCode,
    Array,
    Constraint,
    CpusPerTask,
    DryRun,
    GpusPerNode,
    MailUser,
    Memory,
    Nodes,
    Partition,
    Qos,
    RanksPerNode,
    SbatchArguments,
    Setup,
    TimeLimit,
    parameters_of,
    written,
)
from harness.config.suite import chosen
from harness.results import provenance
from harness.results.store import Store


def submit(
    suites: Suites,
    nodes: Nodes = None,
    gpus_per_node: GpusPerNode = None,
    cpus_per_task: CpusPerTask = None,
    nproc: RanksPerNode = None,
    mem: Memory = None,
    time: TimeLimit = None,
    partition: Partition = None,
    account: Account = None,
    qos: Qos = None,
    constraint: Constraint = None,
    mail_user: MailUser = None,
    setup: Setup = None,
    sbatch_arg: SbatchArguments = None,
    array: Array = None,
    allow_changed_code: AllowChangedCode = False,
    dry_run: DryRun = False,
    only: Only = None,
    seeds: SeedList = None,
    changes: Changes = None,
    results: Results = Path("results"),
    data_dir: DataDir = None,
    device: DeviceOption = None,
    placement: PlacementOption = PlacementChoice.auto,
    engine: Engine = EngineChoice.auto,
    trials_per_device: TrialsPerDevice = None,
    calibrate: Calibrate = True,
    timeout: Timeout = 600.0,
    checkpoint_every: CheckpointEvery = "5m",
    stale_after: StaleAfter = "60s",
    wait: Wait = True,
    retry_diverged: RetryDiverged = False,
    save_model: SaveModel = False,
    log: Log = None,
) -> None:
    """Submit a SLURM job that trains what the suites lack, and one that writes their tables after it.

    What is not asked for is taken from ~/.config/harness/slurm.yaml.
    """
    given = locals() | {"nproc": None, "wait": wait and array is None}
    from harness import tracking
    from harness.runner.launch import slurm, slurm_options, slurm_time_limit

    for option, text in (("--checkpoint-every", checkpoint_every), ("--stale-after", stale_after)):
        seconds_of(option, text)  # a mistake is found before a job is
    for name in log or []:
        tracking.check_name("--log", name)
    loaded = [load(path, changes) for path in suites]
    trials = chosen(loaded, known_experiments(only or [], loaded), chosen_seeds(seeds, loaded))
    left = slurm_time_limit.left(Store(results), loaded, trials, os.environ, retry_diverged=retry_diverged)
    options = slurm_options.options(given | {"nproc": nproc}, os.environ)
    options, note = slurm_time_limit.with_time(options, left, array or 1)
    submission = slurm.Submission(
        name=f"harness:{'+'.join(suite.folder for suite in loaded)}",
        training=["run", *written(parameters_of(train.run), given)],
        report=["report", *written(parameters_of(results_commands.report), given)],
        options=options,
        results=results.absolute(),
        code="" if allow_changed_code else provenance.code_hash(provenance.user_modules(trials)),
        array=array,
    )
    if not left:
        print("nothing is left to train; `harness report` writes the tables", file=sys.stderr)  # noqa: T201
    elif note:
        print(note, file=sys.stderr)  # noqa: T201
    if dry_run:
        print(submission.shown())  # noqa: T201
    elif left:
        print(submission.submit(os.environ))  # noqa: T201
