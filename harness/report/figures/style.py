"""Style and rendering of figures: same data and matplotlib, same bytes, whatever the user's settings."""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from PIL.PngImagePlugin import PngInfo

WIDTH = 6.5  # inches, the text width of a page
INK, GREY, RULE = "#1a1a1a", "#5a5a5a", "#d9d9d9"
# Safe for the colour-blind (of Okabe and Ito, the blue darker), and from dark to light in grey.
BLUE, VERMILION, ORANGE = "#0b5394", "#d55e00", "#e69f00"
_DOTS_PER_INCH = 200
_COLOURS = 128
_STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": "white",
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": 8,
    "grid.color": RULE,
    "grid.linewidth": 0.5,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "path.simplify": True,
    "svg.fonttype": "path",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": GREY,
    "xtick.labelcolor": INK,
    "xtick.labelsize": 7.5,
    "ytick.color": GREY,
    "ytick.labelcolor": INK,
    "ytick.labelsize": 7.5,
}
_settings = threading.Lock()


def bytes_of(build: Callable[[], Figure], mark: str) -> dict[str, bytes]:
    """Build a figure and return it as `svg` and `png`, with a mark (ASCII) in the metadata of each."""
    with style(mark):
        figure = build()
        return {"svg": _svg(figure, mark), "png": _png(figure, mark)}


@contextmanager
def style(salt: str = "harness") -> Iterator[None]:
    """Apply matplotlib's defaults and our style, not the user's; one thread at a time, as they are global."""
    own = {key: value for key, value in mpl.rcParamsDefault.items() if not key.startswith("backend")}
    with _settings, mpl.rc_context():
        mpl.rcParams.update(own)
        mpl.rcParams.update(_STYLE)
        mpl.rcParams["svg.hashsalt"] = salt
        yield


def heading(figure: Figure, name: str, rest: str) -> None:
    """Draw a name and a subtitle above a figure, from its left edge on."""
    size = min(9.0, 9.0 * 70 / len(name))
    name = name.replace("$", r"\$")  # a folder may have any name; between two of these is a formula
    height = figure.get_size_inches()[1]
    figure.text(0.01, 1 - 0.08 / height, name, fontsize=size, fontweight="bold", va="top")
    figure.text(0.01, 1 - 0.26 / height, rest, fontsize=7.5, color=GREY, va="top")


def legend(figure: Figure, handles: Sequence[Any]) -> None:
    """Draw a legend in one line under the heading."""
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0.004, 1 - 0.4 / figure.get_size_inches()[1]),
        ncols=len(handles),
        handlelength=2.4,
        columnspacing=1.4,
        borderaxespad=0.1,
    )


def _svg(figure: Figure, mark: str) -> bytes:
    """Return a figure as SVG, with no more digits than are visible."""
    file = io.StringIO()
    metadata = {"Description": mark, **dict.fromkeys(("Creator", "Date", "Format", "Type"))}
    figure.savefig(file, format="svg", metadata=metadata)
    text = re.sub(r"\n\s+", "\n", file.getvalue())
    return re.sub(r"scale\([^)]*\)|-?\d+\.\d{3,}", _rounded, text).encode()


def _rounded(match: re.Match[str]) -> str:
    return match[0] if match[0].startswith("scale") else f"{float(match[0]):.2f}".rstrip("0").rstrip(".")


def _png(figure: Figure, mark: str) -> bytes:
    """Return a figure as PNG, with a palette, which makes it a third as large."""
    figure.set_dpi(_DOTS_PER_INCH)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    size = canvas.get_width_height(physical=True)
    image = Image.frombuffer("RGBA", size, canvas.buffer_rgba(), "raw", "RGBA", 0, 1).convert("RGB")
    text = PngInfo()
    text.add_text("Description", mark)
    file = io.BytesIO()
    palette = image.quantize(_COLOURS, dither=Image.Dither.NONE)
    palette.save(file, "png", pnginfo=text, dpi=(_DOTS_PER_INCH, _DOTS_PER_INCH))
    return file.getvalue()
