"""Calls of the user's own code, and the message if it fails."""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from harness.errors import HarnessError, ModelError
from harness.process_state import restored

_OURS = Path(__file__).resolve().parent
_STANDARD = {Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib")}
_INSTALLED = {"site-packages", "dist-packages"}
_LONGEST = 600
_MOST = 100_000


@contextmanager
def calling(
    what: str, error: type[HarnessError] = ModelError, *, random_states: bool = True
) -> Iterator[None]:
    """Run the user's code; whatever it raises becomes one `error` about `what`, with its file and line.

    Whatever happens, the process's settings are put back, and the `random_states` too unless told
    otherwise (see `process_state`). A HarnessError and KeyboardInterrupt are passed on, and so is a mistake
    of the harness's own.
    """
    try:
        with restored(random_states=random_states):
            yield
    except (HarnessError, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as why:
        if _is_ours(why.__traceback__):
            raise
        raise error(f"{what}: {described(why)}") from why


def described(why: BaseException) -> str:
    """Return the type, the message and the place of an exception: `KeyError: 'x' (own.py, line 12, in f)`."""
    text = f"{type(why).__name__}: {_message(why)}".removesuffix(": ")
    place = _place(why)
    return f"{text} ({place})" if place else text


def traceback_of(why: BaseException) -> str:
    """Return an exception's traceback as text that can be written; a very long one without its middle."""
    try:
        text = "".join(traceback.format_exception(why))
    except Exception:  # the user's exception has attributes that Python does not expect
        text = "".join([*traceback.format_tb(why.__traceback__), described(why)])
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= _MOST else f"{text[: _MOST // 2]}\n…\n{text[-_MOST // 2 :]}"


def _message(why: BaseException) -> str:
    """Return an exception's message in one line."""
    try:
        text = str(why.msg) if isinstance(why, SyntaxError) else str(why)
    except Exception:  # the user's own `__str__`
        text = object.__repr__(why)
    line = " ".join(text.encode("utf-8", "backslashreplace").decode().split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"


def _place(why: BaseException) -> str:
    """Return file, line and function of the innermost frame in the user's own files, or nothing.

    The line of a syntax error is that of the mistake.
    """
    file = why.filename if isinstance(why, SyntaxError) else None
    if isinstance(why, SyntaxError) and isinstance(file, str) and Path(file).is_file():
        return f"{_shown(Path(file))}, line {why.lineno}"
    frame = _users_frame(why.__traceback__)
    if frame is None:
        return ""
    function = "" if frame.name.startswith("<") else f", in {frame.name}"
    return f"{_shown(Path(frame.filename))}, line {frame.lineno}{function}"


def _users_frame(trace: TracebackType | None) -> traceback.FrameSummary | None:
    """Return the innermost frame of user code, also of code in an installed package."""
    foreign = [frame for frame in _called(trace) if is_foreign(frame.filename)]
    own = [frame for frame in foreign if not _INSTALLED & set(Path(frame.filename).parts)]
    if own or not foreign:
        return own[-1] if own else None
    called = _installed_package(foreign[0].filename)  # the suite names it
    return [frame for frame in foreign if _installed_package(frame.filename) == called][-1]


def _is_ours(trace: TracebackType | None) -> bool:
    """Tell whether the harness itself raised, with no user code in between."""
    frames = _called(trace)
    return bool(frames) and _is_of_harness(frames[-1].filename) and _users_frame(trace) is None


def _called(trace: TracebackType | None) -> list[traceback.FrameSummary]:
    """List the frames within the caller's, from the outermost in."""
    frames = traceback.extract_tb(trace)
    caller = next((index for index, frame in enumerate(frames) if frame.filename != __file__), 0)
    return frames[caller + 1 :]


def is_foreign(filename: str) -> bool:
    """Tell whether a file is neither Python's, torch's nor the harness's."""
    if not Path(filename).is_file():  # `<frozen importlib._bootstrap>`
        return False
    if _is_of_harness(filename) or _installed_package(filename) == "torch":
        return False
    path = Path(filename).resolve()
    return bool(_INSTALLED & set(path.parts)) or not _STANDARD & set(path.parents)


def _is_of_harness(filename: str) -> bool:
    path = Path(filename)
    return _OURS in (*path.resolve().parents, *path.parents)


def _installed_package(filename: str) -> str:
    """Return the top-level name of an installed file: the part of its path after `site-packages`."""
    parts = Path(filename).parts
    places = [index for index, part in enumerate(parts[:-1]) if part in _INSTALLED]
    return parts[places[-1] + 1] if places else ""


def _shown(path: Path) -> str:
    """Return a path as short as it is clear: from the current folder if it lies there."""
    folder = Path.cwd()
    return str(path.relative_to(folder)) if folder in path.parents else str(path)
