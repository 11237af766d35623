"""Features in a CSV file: one column holds the labels, all others numbers."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import ConfigDict, Field, model_validator

from harness.data.files import checksum, place
from harness.data.folders import Search
from harness.data.kinds.at_path import AtPath
from harness.data.raw import Array, Raw, RawSplit
from harness.data.settings import TestSplit
from harness.errors import DataError, nearest, shown
from harness.strict import added_later


class Csv(AtPath):
    """Table in a CSV file with a header: a column of labels, and features in all other columns."""

    model_config = ConfigDict(title="csv")
    paths: ClassVar[tuple[str, ...]] = ("path", "test_path")

    name: Literal["csv"] = Field(description="Kind of the dataset.")
    path: str = Field(description="Path of the file, relative to the suite's.", examples=["iris.csv"])
    label: str = Field(description="Name of the column with the labels.", examples=["species"])
    test_path: str | None = added_later(
        None, description="Path of a file with the test samples, of the same columns."
    )
    split: TestSplit | None = added_later(
        None, description="How the samples are split where there is no `test_path`."
    )

    @model_validator(mode="after")
    def _one_test_set(self) -> Self:
        if (self.test_path is None) == (self.split is None):
            raise ValueError(
                f"{'neither' if self.split is None else 'both'} of `split` and `test_path`, expected one"
            )
        return self

    def identity(self, search: Search) -> Any:
        """Return the files' checksums."""
        paths = filter(None, (self.path, self.test_path))
        return [checksum(path, search, "a CSV file with a header") for path in paths]

    def read(self, search: Search) -> Raw:
        """Read the tables; raise DataError with file, line and column of the first mistake."""
        train = _Table(place(self.path, search), self.label)
        test = _Table(place(self.test_path, search), self.label, train.names) if self.test_path else None
        tables = [train, test] if test else [train]
        is_number = all(_is_whole(label) for table in tables for label in table.labels)
        return Raw.of([table.split(is_number=is_number) for table in tables])


def _is_whole(text: str) -> bool:
    return text.lstrip("-").isdecimal() and len(text) < 19


class _Table:
    """A file's features (rows of numbers), labels, and the line of each."""

    def __init__(self, path: Path, label: str, expected: list[str] | None = None) -> None:
        self.path, self.label = path, label
        self.features: list[Array] = []
        self.labels: list[str] = []
        self.lines: list[int] = []
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                self._read(csv.reader(file, strict=True), expected)
        except (UnicodeDecodeError, csv.Error) as error:
            raise DataError(f"{path}: {error}; expected a CSV file in UTF-8") from None
        if not self.labels:
            raise DataError(f"{path}: found no row below the header, expected one or more")

    def split(self, *, is_number: bool) -> RawSplit:
        """Return the table as a split, its labels as numbers or as texts."""
        labels = np.array([int(label) if is_number else label for label in self.labels])
        return RawSplit(np.array(self.features), labels, lambda row: f"{self.path}:{self.lines[row]}")

    def _read(self, rows: Any, expected: list[str] | None) -> None:
        self.names: list[str] = next(rows, [])
        if self.label not in self.names:
            known = nearest(self.label, self.names)
            raise DataError(f"{self.path}:1: found no column {self.label!r} of labels; {known}")
        if len(set(self.names)) < len(self.names) or len(self.names) < 2:
            found = ", ".join(self.names)
            raise DataError(f"{self.path}:1: found the columns {found}, expected two or more, each name once")
        if expected and self.names != expected:
            found, wanted = (", ".join(names) for names in (self.names, expected))
            raise DataError(f"{self.path}:1: found the columns {found}, expected {wanted} as in training")
        label_at = self.names.index(self.label)
        for row in rows:
            if not row:
                continue  # an empty line
            where = f"{self.path}:{rows.line_num}"
            if len(row) != len(self.names):
                raise DataError(f"{where}: found {len(row)} values, expected {len(self.names)}, one a column")
            label = row.pop(label_at).strip()
            if not label:
                raise DataError(f"{where}: column {self.label!r}: found no label, expected one")
            names = [name for name in self.names if name != self.label]
            numbers = [self._number(text, where, name) for text, name in zip(row, names, strict=True)]
            self.features.append(np.array(numbers))
            self.labels.append(label)
            self.lines.append(rows.line_num)

    def _number(self, text: str, where: str, name: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number) or "_" in text:
            raise DataError(f"{where}: column {name!r}: found {shown(text)}, expected a number")
        return number
