"""Pictures of the page over a folder of results, for docs/report.md: two themes, two widths.

`python -m benchmarks.pictures` opens results/index.html in Chromium and writes docs/page-*.png.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

from PIL import Image

from benchmarks.contestant import ROOT
from tests.support.browser import browser, picture, show

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
    """Return the picture in its commonest colours and in some of all others, which text and lines do with."""
    full = Image.open(io.BytesIO(png)).convert("RGB")
    common = sorted(full.getcolors(full.width * full.height) or [], reverse=True)[: COLOURS // 2]
    rare = full.quantize(COLOURS // 2, Image.Quantize.MAXCOVERAGE).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette([part for _, colour in common for part in cast(tuple[int, int, int], colour)] + rare)
    out = io.BytesIO()
    full.quantize(palette=palette, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
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
