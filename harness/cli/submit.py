"""`harness submit`: SLURM jobs that train suites."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness import model_registry
from harness.cli import results as results_commands
from harness.cli import train
from harness.cli.choices import chosen_seeds, known_experiments, retrained
from harness.cli.submit_options import (
    Account,
    AllowChangedCode,
    ArrayJobs,
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
from harness.cli.suites import loaded
from harness.config.suite import Suite, Trial, chosen
from harness.plugins import is_callable_path
from harness.results.retraining import retrain
from harness.results.store import Store
from harness.results.user_code_hash import UserCodes, job_code

if TYPE_CHECKING:
    from harness.runner.launch.slurm import Submission
    from harness.runner.launch.slurm_options import SlurmOptions


def _own_options(
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
    array: ArrayJobs = None,
    allow_changed_code: AllowChangedCode = False,
    dry_run: DryRun = False,
) -> None:
    """List the options that `submit` has beside those of `run`."""


def _signature() -> inspect.Signature:
    """Return the parameters of `submit`: the suites, its own options, then those of `run`."""
    own, of_run = (
        dict(inspect.signature(each, eval_str=True).parameters) for each in (_own_options, train.run)
    )
    suites = of_run.pop("suites")
    rest = [each for name, each in of_run.items() if name not in own and name != "max_restarts"]
    return inspect.Signature([suites, *own.values(), *rest])


def submit(**given: Any) -> None:
    """Submit a SLURM job that trains the missing trials, and one that writes the tables after it.

    What is not asked for is taken from ~/.config/harness/slurm.yaml.
    """
    from harness import tracking
    from harness.runner.launch import slurm_options, slurm_time_limit

    for name in given["log"] or []:
        tracking.check_name("--log", name)
    store = Store(given["results"])
    suites = loaded(given["suites"], given["changes"], store)
    names, seeds = known_experiments(given["only"] or [], suites), chosen_seeds(given["seeds"], suites)
    trials = chosen(suites, names, seeds)
    again = retrained(given["retrain"] or [], names, suites)
    options = slurm_options.options(given, os.environ)
    if again and not given["dry_run"]:  # now: the jobs may start at different times
        for text in retrain(store, suites, trials, again, UserCodes()):
            print(text, file=sys.stderr)  # noqa: T201
    pending = slurm_time_limit.pending(
        store, suites, trials, os.environ, retry_diverged=given["retry_diverged"]
    )
    options, note = slurm_time_limit.with_time(options, pending, given["array"] or 1)
    submission = _submission(given, suites, trials, options)
    if not pending:
        print("nothing is left to train; `harness report` writes the tables", file=sys.stderr)  # noqa: T201
    elif note:
        print(note, file=sys.stderr)  # noqa: T201
    if given["dry_run"]:
        submission.prepare()  # the commands shown need these files
        print(submission.shown())  # noqa: T201
    elif pending:
        print(submission.submit(os.environ))  # noqa: T201


submit.__signature__ = _signature()  # type: ignore[attr-defined]


def _submission(
    given: Mapping[str, Any], suites: Sequence[Suite], trials: Sequence[Trial], options: SlurmOptions
) -> Submission:
    from harness.runner.launch.slurm import JOBS, FrozenSuite, Submission

    array, folder = given["array"], given["results"].absolute() / JOBS
    frozen = [FrozenSuite.of(suite, folder) for suite in suites]
    # The job's script starts the ranks, and jobs of an array do not wait for each other.
    of_job = {**given, "nproc": None, "wait": given["wait"] and array is None, "retrain": None}
    # The frozen suites include the changes by --set; the report is of each folder as last run.
    of_job |= {"suites": [each.path for each in frozen], "changes": None}
    of_report = {**given, "suites": [suite.folder for suite in suites], "changes": None}
    return Submission(
        name=f"harness:{'+'.join(suite.folder for suite in suites)}",
        training=["run", *written(parameters_of(train.run), of_job)],
        report=["report", *written(parameters_of(results_commands.report), of_report)],
        options=options,
        results=given["results"].absolute(),
        code="" if given["allow_changed_code"] else _code(trials),
        array=array,
        frozen=frozen,
    )


def _code(trials: Sequence[Trial]) -> str:
    """Return the hash of suite and user code; raise ModelError for a model that cannot be imported."""
    codes = UserCodes()
    code = job_code(trials, codes)
    for name in sorted({str(trial.settings.model["name"]) for trial in trials}):
        if is_callable_path(name):
            model_registry.source_file(name)
    return code
