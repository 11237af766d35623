"""Several trials at once on one device: they take turns, step by step, each on its own CUDA stream."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Generator, Iterator

import torch

TrialSteps = Generator[None, None, object]


def take_turns(trials: Iterator[TrialSteps], width: Callable[[], int], device: torch.device) -> None:
    """Run the trials' generators to their ends, `width()` at a time; take the next one when there is room.

    The width may shrink meanwhile. On a GPU a turn only launches work, so that the trials' streams fill the
    device together.
    """
    places = [own_stream(device, place) for place in range(width())]
    running: list[tuple[TrialSteps, contextlib.AbstractContextManager[object]]] = []
    is_last = False
    while True:
        while len(running) < width() and not is_last:
            steps = next(trials, None)
            if steps is None:
                is_last = True
            else:
                running.append((steps, places.pop()))
        if not running:
            return
        for entry in list(running):
            steps, place = entry
            with place:
                if next(steps, entry) is entry:
                    running.remove(entry)
                    places.append(place)


def own_stream(device: torch.device, place: int) -> contextlib.AbstractContextManager[object]:
    """Return a reusable context in which a GPU's work goes to the stream of `place`."""
    if device.type != "cuda":
        return contextlib.nullcontext()
    stream = _stream(device, place)
    stream.wait_stream(torch.cuda.current_stream(device))
    return torch.cuda.stream(stream)


@functools.cache
def _stream(device: torch.device, place: int) -> torch.cuda.Stream:
    """Return the stream of a place, the same one for the life of the process.

    torch has 32 streams and then hands out the first again; a cuBLAS workspace belongs to a stream.
    """
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
