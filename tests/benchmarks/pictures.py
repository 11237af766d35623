"""Pictures of the page over a folder of results, for the README: two themes, two widths.

`python -m tests.benchmarks.pictures` opens results/index.html in Chromium and writes docs/page-*.png.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from tests.benchmarks.contestant import ROOT
from tests.browser import browser, picture, show

WIDTHS = {"wide": (1280, 1600), "narrow": (390, 1200)}
COLOURS = 256


def pictures(page: Path, experiment: str, into: Path) -> list[Path]:
    """Write a picture for each theme and width, with one experiment opened."""
    into.mkdir(parents=True, exist_ok=True)
    paths = []
    with TemporaryDirectory() as folder, browser(Path(folder)) as driver:
        for theme in ("light", "dark"):
            for name, (width, height) in WIDTHS.items():
                show(driver, width=width, height=height, theme=theme)
                driver.get(page.resolve().as_uri())
                driver.execute_script(_OPEN, experiment)
                paths.append(into / f"page-{theme}-{name}.png")
                paths[-1].write_bytes(smaller(picture(driver)))
    return paths


_OPEN = """
const details = document.getElementById(arguments[0]);
details.open = true;
details.closest("section").scrollIntoView();
"""


def smaller(png: bytes) -> bytes:
    """Return the picture with few colours, which text and lines do with."""
    few = Image.open(io.BytesIO(png)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    out = io.BytesIO()
    few.save(out, "PNG", optimize=True)
    return out.getvalue()


def main() -> None:
    """Write the pictures and say how large they are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", type=Path, default=ROOT / "results" / "index.html")
    parser.add_argument("--experiment", default="fashion-patch_size/exp-1")
    parser.add_argument("--into", type=Path, default=ROOT / "docs")
    arguments = parser.parse_args()
    for path in pictures(arguments.page, arguments.experiment, arguments.into):
        print(path, path.stat().st_size)


if __name__ == "__main__":
    main()
