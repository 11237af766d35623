"""Data in one .npz file of NumPy."""

from __future__ import annotations

import zipfile
from typing import Any, Literal

import numpy as np
from pydantic import ConfigDict, Field

from harness.data.arrays import raw_of
from harness.data.files import checksum, place
from harness.data.folders import Search
from harness.data.kinds.at_path import AtPath
from harness.data.raw import Raw
from harness.data.settings import TestSplit
from harness.errors import DataError
from harness.strict import added_later


class Npz(AtPath):
    """NumPy file with the arrays `x_train`, `y_train`, `x_test`, `y_test`, and maybe `x_val` and `y_val`."""

    model_config = ConfigDict(title="npz")

    name: Literal["npz"] = Field(description="Kind of the dataset.")
    path: str = Field(description="Path of the file, relative to the suite's.", examples=["flowers.npz"])
    split: TestSplit | None = added_later(
        None, description="How the training arrays are split where there are no test arrays."
    )

    def identity(self, search: Search) -> Any:
        """Return the file's checksum."""
        return checksum(self.path, search, "a file that numpy.savez wrote")

    def read(self, search: Search) -> Raw:
        """Read the arrays, none of them pickled."""
        path = place(self.path, search)
        arrays = {}
        try:
            with zipfile.ZipFile(path) as archive:
                names = [name.removesuffix(".npy") for name in archive.namelist()]
            with np.load(path, allow_pickle=False) as file:
                for name in names:
                    arrays[name] = file[name]
        except zipfile.BadZipFile:
            raise DataError(f"{path}: found another file, expected one that numpy.savez wrote") from None
        except Exception as error:  # damaged or pickled content makes numpy raise almost anything
            raise DataError(f"{path}: {name}: found no array of numbers or texts ({error})") from None
        return raw_of(arrays, str(path), self.split)
