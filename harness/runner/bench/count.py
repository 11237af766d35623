"""Count of a suite's training steps: operations, bytes, FLOPs, collectives, and the limits of cards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch

from harness.config.settings import PrecisionName
from harness.config.suite import Suite
from harness.data import Dataset
from harness.errors import CrashError
from harness.results.atomic_files import write_whole
from harness.runner.bench.count_table import Count, CountRow, markdown
from harness.runner.bench.grid import trial_of
from harness.runner.bench.roofline import limit
from harness.runner.request import Request, check, load_data
from harness.training.dataloader import DataOn, ResidentDataset
from harness.training.operations import count_step
from harness.training.precision import PRECISIONS
from harness.user_code import calling

_CPU = torch.device("cpu")


def write_counts(request: Request, cards: Sequence[str], env: Mapping[str, str]) -> str:
    """Count a step of each of the suite's experiments, write the table and return it with its path.

    Nothing is trained, and no GPU is used. Raise HarnessError where `check` does.
    """
    (suite,), request = request.suites, request.absolute()
    check(request, request.trials, env, has_gpu=False)
    dataset = load_data(request, next(suite.trials()), env)
    with calling(f"{suite.folder}: nothing is counted", CrashError):
        rows = list(rows_of(suite, request.only or list(suite.experiments), dataset, request.data_on, cards))
    found = Count(suite=suite.folder, torch=torch_version(), rows=rows)
    text, path = markdown(found), request.results / "bench" / "count" / f"{suite.folder}.md"
    write_whole(path.with_suffix(".json"), (found.model_dump_json(indent=1) + "\n").encode())
    write_whole(path, text.encode())
    return f"{text}\n({path})"


def torch_version() -> str:
    """Return torch's version without its build, which changes no count."""
    return torch.__version__.partition("+")[0]


def rows_of(
    suite: Suite, experiments: Sequence[str], dataset: Dataset, data_on: DataOn, cards: Sequence[str]
) -> Iterator[CountRow]:
    """Yield the experiments' counts in fp32, bf16 and their own precision."""
    residents: dict[torch.dtype, ResidentDataset] = {}
    for experiment in experiments:
        own = suite.experiments[experiment].training.precision
        precisions: tuple[PrecisionName, ...] = ("fp32", "bf16", own)
        for precision in dict.fromkeys(precisions):
            dtype = PRECISIONS[precision].dtype
            if dtype not in residents:
                residents[dtype] = ResidentDataset.of(dataset, _CPU, dtype, data_on)
            trial = trial_of(suite, experiment, precision)
            step = count_step(trial, residents[dtype])
            images = min(trial.settings.training.batch_size, len(dataset.train.labels))
            limits = [limit(card, precision, images, step.bytes, step.flops) for card in cards]
            yield CountRow(
                experiment=experiment, precision=precision, batch_size=images, step=step, limits=limits
            )
