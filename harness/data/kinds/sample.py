"""The sample of KMNIST that comes with the package."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import ConfigDict, Field

from harness.data.kinds.official import OfIdxFiles


class Sample(OfIdxFiles):
    """Sample of 8,000 + 2,000 of KMNIST's test images, in the package."""

    model_config = ConfigDict(title="sample in the package")
    note: ClassVar = (
        "These are results on a small sample of KMNIST's test images; they are not KMNIST results."
    )

    name: Literal["kmnist_sample"] = Field(description="Name of the sample, which needs no download.")
