"""The command that lists, fetches and checks datasets, and cleans the cache of prepared ones."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import DataDir
from harness.cli.suites import names_a_file
from harness.config.loader import load_suite
from harness.errors import DataError, UsageError
from harness.formatting import columns

_HEADER = ("name", "samples", "size", "classes", "source", "here")


def data(
    name: Annotated[
        str | None,
        typer.Argument(help="A dataset's name, or a suite's file; without it, all names are listed."),
    ] = None,
    resize: Annotated[
        int | None, typer.Option("--resize", min=1, max=1024, help="Side in pixels to resize images to.")
    ] = None,
    data_dir: DataDir = None,
    clean: Annotated[
        bool, typer.Option("--clean", help="Remove all prepared data from the cache; downloads stay.")
    ] = False,
) -> None:
    """Find or download a dataset and check it; or list all that have a name, and whether they are here."""
    if clean:
        if name is not None:
            raise UsageError(
                f"--clean: found the dataset {name!r} too; it removes the data of all, leave it out"
            )
        print(_cleaned())  # noqa: T201
    elif name is None:
        print(columns([_HEADER, *_rows(data_dir)]))  # noqa: T201
    else:
        print(_fetched(name, resize, data_dir))  # noqa: T201


def _say(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201


def _fetched(name: str, resize: int | None, data_dir: Path | None) -> str:
    from harness.data import load, named

    if names_a_file(name):
        if resize is not None:
            raise UsageError(f"--resize: found the suite {name} too, whose dataset says it; leave it out")
        settings = load_suite(Path(name)).dataset
    else:
        settings = named(name, resize)
    found = load(settings, data_dir, os.environ, _say)
    splits = [found.train, found.test, *([found.validation] if found.validation else [])]
    counts = " + ".join(f"{len(split.labels):,}" for split in splits)
    kind = "images" if len(found.image_shape) == 3 else "samples"
    lines = [f"{found.name}: {counts} {kind} of {found.image_shape}, digest {found.digest[:16]}"]
    return "\n".join([*lines, f"{found.num_classes} classes: {', '.join(found.classes)}"])


def _cleaned() -> str:
    from harness.data.cache import prepared_folder
    from harness.data.cache_size import clean
    from harness.data.folders import Search, download_root

    removed = clean(prepared_folder(Search(None, os.environ, _say)))
    size = sum(each.size_bytes for each in removed) / 2**30
    where = download_root(os.environ)
    return f"{len(removed)} prepared data sets removed, {size:.2f} GiB; downloads in {where} stay"


def _rows(data_dir: Path | None) -> Iterator[tuple[str, ...]]:
    """Yield each dataset that has a name of its own."""
    from harness.data.cache import prepared_folder
    from harness.data.folders import Search
    from harness.data.kinds import KINDS, PUBLIC

    search = Search(data_dir, os.environ, _say)
    for kind in KINDS:
        for name in kind.names() if set(kind.names()) <= set(PUBLIC) else ():
            settings = kind.model_construct(name=name)  # as it is listed, it needs neither resize nor split
            facts = settings.facts
            assert facts is not None
            size = " x ".join(map(str, facts.shape)) if facts.shape else "several"
            samples = " + ".join(f"{count:,}" for count in facts.samples)
            try:
                is_prepared = any(prepared_folder(search).glob(f"{name}-*"))
                here = "yes" if settings.is_here(search) or is_prepared else "no"
            except (DataError, OSError) as error:
                _say(f"{name}: {error}")
                here = "damaged"
            yield name, samples, size, str(facts.num_classes), facts.source, here
