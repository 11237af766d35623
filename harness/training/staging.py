"""Samples in the host's memory beside a device: those of the next batches are read ahead and copied to it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import torch
from torch import Tensor

SLOTS = 3  # batches that are read ahead, or on their way to the device


class _Slot:
    """Samples on the host, pinned for a GPU, and the event at which their copy to the device is done."""

    def __init__(self, rows: int, images: Tensor, device: torch.device) -> None:
        is_pinned = device.type == "cuda"
        self.images = torch.empty((rows, *images.shape[1:]), dtype=images.dtype, pin_memory=is_pinned)
        self.samples = torch.empty(rows, dtype=torch.int64, pin_memory=is_pinned)
        self.copied: torch.cuda.Event | None = None

    def fill(self, images: Tensor, samples: Tensor) -> None:
        """Read these samples, once the copy of those before is done."""
        if self.copied is not None:
            self.copied.synchronize()
        self.samples[: len(samples)].copy_(samples)
        torch.index_select(images, 0, samples, out=self.images[: len(samples)])


class _Buffer:
    """Samples on the device, and of each sample of the split its place here; of others it means nothing.

    Its addresses do not change: graphs that were captured read from it.
    """

    def __init__(self, rows: int, images: Tensor, device: torch.device) -> None:
        self.images = images[:1].to(device).expand(rows, *images.shape[1:]).contiguous()
        self.places = torch.zeros(len(images), dtype=torch.int64, device=device)
        self._positions = torch.arange(rows, device=device)

    def upload(self, slot: _Slot, count: int) -> None:
        """Copy the samples of a slot to the device, in the order of its stream."""
        self.images[:count].copy_(slot.images[:count], non_blocking=True)
        samples = slot.samples[:count].to(self.places.device, non_blocking=True)
        self.places.index_copy_(0, samples, self._positions[:count])
        if self.images.is_cuda:
            slot.copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
            slot.copied.record()


@dataclass
class Staging:
    """A split's images in the host's memory, with buffers on the device: one for each stream and size.

    Each stream trains one trial at a time, whose batches are at most of one size.
    """

    images: Tensor
    device: torch.device
    _buffers: dict[tuple[int, int], _Buffer] = field(default_factory=dict)
    _current: dict[int, _Buffer] = field(default_factory=dict)

    def current(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Return the images on the device now, in this stream, and the places of the chosen samples there."""
        buffer = self._current[self._stream]
        return buffer.images, buffer.places.index_select(0, chosen)

    def uploaded(self, batches: Sequence[Tensor]) -> Iterator[None]:
        """Yield once for each of the batches, samples on the host, when it is on the device.

        It is there until the next one is asked for. A thread reads those after it.
        """
        most = max(1, *map(len, batches))
        key = self._stream, most
        if key not in self._buffers:
            self._buffers[key] = _Buffer(most, self.images, self.device)
        buffer = self._buffers[key]
        slots = [_Slot(most, self.images, self.device) for _ in range(SLOTS)]
        with ThreadPoolExecutor(1, "data") as pool:
            ahead: deque[tuple[Future[None], _Slot, int]] = deque()
            for number, samples in enumerate(batches):
                if len(ahead) == SLOTS - 1:
                    self._next(buffer, ahead)
                    yield
                slot = slots[number % SLOTS]
                ahead.append((pool.submit(slot.fill, self.images, samples), slot, len(samples)))
            while ahead:
                self._next(buffer, ahead)
                yield

    def _next(self, buffer: _Buffer, ahead: deque[tuple[Future[None], _Slot, int]]) -> None:
        filled, slot, count = ahead.popleft()
        filled.result()
        self._current[self._stream] = buffer
        buffer.upload(slot, count)

    @property
    def _stream(self) -> int:
        return torch.cuda.current_stream(self.device).stream_id if self.device.type == "cuda" else 0
