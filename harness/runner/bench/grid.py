"""Benchmark grid: every experiment in every precision, under every execution that the machine has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.config.settings import PrecisionName
from harness.config.suite import Suite, Trial
from harness.results.record import EngineName
from harness.runner.placement import Execution, widths
from harness.strict import Count, Strict, added_later

# Precision, engine, batch size, and how many ranks train one trial together; 0 if each rank trains its own.
GroupKey = tuple[PrecisionName, EngineName | None, int | None, int]


class Machine(Strict):
    """Hardware to measure on: ranks of one device each, and the cores of a CPU."""

    device: str
    is_gpu: bool
    ranks: int
    cores: int


class BenchCell(Strict):
    """One way to train one experiment, on the first `ranks` ranks with `threads` threads each.

    `batch_size` is None for the suite's.
    """

    experiment: str
    precision: PrecisionName
    execution: Execution
    ranks: int
    threads: int
    batch_size: Count | None = added_later(None)

    def __str__(self) -> str:
        ranks = f"{self.ranks} rank{'s' * (self.ranks > 1)}"
        threads = f" of {self.threads} threads" if self.threads > 1 else ""
        batches = f", batches of {self.batch_size:,}" if self.batch_size else ""
        return f"{self.experiment}, {self.precision}, {self.execution}, {ranks}{threads}{batches}"

    @property
    def trials(self) -> int:
        """Return how many trials are trained at once, on all ranks."""
        return self.execution.slots(self.ranks)

    @property
    def group(self) -> GroupKey:
        """Return the key of a rank's trials; cells of one experiment with equal keys share these trials."""
        together = self.execution.placement == "ddp" and self.ranks > 1
        return self.precision, self.execution.engine, self.batch_size, self.ranks if together else 0

    @property
    def is_single(self) -> bool:
        """Return whether it is one trial on one thread or GPU, the baseline of the other cells."""
        return self.ranks == 1 and self.trials == 1 and self.threads == 1


def cells(experiments: Sequence[str], machine: Machine, trials: int) -> list[BenchCell]:
    """List the cells of a machine for this number of remaining trials; an experiment's cells are adjacent."""
    precisions: tuple[PrecisionName, ...] = ("fp32", "tf32", "bf16") if machine.is_gpu else ("fp32", "bf16")
    return [
        BenchCell(
            experiment=experiment, precision=precision, execution=execution, ranks=ranks, threads=threads
        )
        for experiment in experiments
        for precision in precisions
        for execution, ranks, threads in _ways(machine, trials)
    ]


def _ways(machine: Machine, trials: int) -> Iterator[tuple[Execution, int, int]]:
    engines: tuple[EngineName, ...] = ("eager", "graph", "compiled") if machine.is_gpu else ("eager",)
    sizes = sorted({min(2**power, machine.ranks) for power in range(machine.ranks.bit_length() + 1)})
    if not machine.is_gpu and machine.cores > 1:
        yield Execution(placement="ddp", engine="eager"), 1, machine.cores
    for engine in engines:
        for ranks in sizes:
            for width in widths(trials, ranks) if machine.is_gpu else [1]:
                yield Execution(placement="spread", engine=engine, trials_per_device=width), ranks, 1
            if ranks > 1 and engine != "compiled":  # which a trial of several ranks is not
                yield Execution(placement="ddp", engine=engine), ranks, 1


def trial_of(suite: Suite, experiment: str, precision: PrecisionName, batch_size: int | None = None) -> Trial:
    """Return the experiment's first trial, in this precision and, if given, batch size."""
    trial = next(each for each in suite.trials() if each.experiment == experiment)
    training = trial.settings.training
    changes = {"precision": precision, "batch_size": batch_size or training.batch_size}
    settings = trial.settings.model_copy(update={"training": training.model_copy(update=changes)})
    return Trial(trial.folder, trial.experiment, trial.seed, settings)
