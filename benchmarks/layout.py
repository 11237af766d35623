"""Official dataset files, laid out as torchvision's datasets look for them."""

from __future__ import annotations

from pathlib import Path

from harness.data.official_files import FILES, path_of, unpacked
from harness.data.official_sources import Source


def lay_out(source: Source, folder: Path, root: Path) -> str:
    """Unpack the files of `source` from `folder` under `root`; return the class to read them with.

    The KMNIST sample is laid out as KMNIST, whose class does not ask how many images there are.
    """
    name = source.torchvision or "KMNIST"
    raw = root / name / "raw"
    raw.mkdir(parents=True)
    for file in FILES:
        content = unpacked((path_of(folder, file) or folder / file).read_bytes())
        (raw / file.removesuffix(".gz")).write_bytes(content)
    return name
