"""Frames in a stream of bytes: four bytes of length, then the frame. No sockets, no clock.

    0                  a sign of life; no frame follows
    1 .. limit         so many bytes of frame follow
    2**32 - 1          the last word: nothing follows

A frame that is at hand whole is copied out of a small buffer. A larger one is read straight into its own memory, which
grows with what has come, so a length that is only claimed costs nothing.
"""

from __future__ import annotations

from mesh.errors import BadFrame, FrameTooLarge, WireError

__all__ = ["FAREWELL", "SIGN_OF_LIFE", "Deframer", "length_prefix"]

SIGN_OF_LIFE = bytes(4)
FAREWELL = b"\xff" * 4

_BUFFER = 128 * 2**10
_SMALL = 96 * 2**10  # up to here a frame waits in the buffer until it is whole
_FIRST = 2**20  # what a large frame is given before any of it has come


def length_prefix(length: int) -> bytes:
    """What goes before a frame of `length` bytes."""
    return length.to_bytes(4, "big")


class Deframer:
    """Takes bytes as they come, gives frames.

    Args:
        limit: bytes of one frame at most.

    Attributes:
        farewell: the last word has come.
        broken: why nothing that comes from now on can be a frame; None while all is well.
    """

    def __init__(self, limit: int) -> None:
        self.farewell = False
        self.broken: WireError | None = None
        self._limit = limit
        self._buffer = memoryview(bytearray(_BUFFER))
        self._end = 0
        self._large: memoryview | None = None
        self._length = 0
        self._have = 0

    def room(self) -> memoryview:
        """Where the next bytes belong; never empty."""
        return self._buffer[self._end :] if self._large is None else self._large[self._have :]

    def filled(self, count: int) -> list[memoryview]:
        """`count` bytes have come into `room`: the frames that are whole by that, in order; then see `broken`."""
        if self._large is not None:
            return self._filled_large(self._large, count)
        self._end += count
        frames: list[memoryview] = []
        start = 0
        while self._end - start >= 4 and self.broken is None:
            length = int.from_bytes(self._buffer[start : start + 4], "big")
            begin = start + 4
            if self._special(length):
                start = begin
            elif length <= self._end - begin:
                frames.append(memoryview(bytes(self._buffer[begin : begin + length])))
                start = begin + length
            elif length > _SMALL:
                self._begin_large(length, self._buffer[begin : self._end])
                start = self._end
            else:
                break
        self._keep(start)
        return frames

    def _special(self, length: int) -> bool:
        """Whether `length` is that of no frame, but has a meaning of its own, or none."""
        if self.farewell:
            self.broken = BadFrame("something follows the last word")
        elif length == 2**32 - 1:
            self.farewell = True
        elif length > self._limit:
            self.broken = FrameTooLarge(f"a frame of {length} bytes; at most {self._limit} are taken")
        return length == 0 or self.farewell or self.broken is not None

    def _begin_large(self, length: int, start: memoryview) -> None:
        self._large = memoryview(bytearray(min(length, _FIRST)))
        self._large[: len(start)] = start
        self._length, self._have = length, len(start)

    def _filled_large(self, frame: memoryview, count: int) -> list[memoryview]:
        self._have += count
        if self._have == self._length:
            self._large = None
            return [frame]
        if self._have == len(frame):
            larger = memoryview(bytearray(min(self._length, 2 * len(frame))))
            larger[: len(frame)] = frame
            self._large = larger
        return []

    def _keep(self, start: int) -> None:
        rest = self._end - start
        if start and rest:
            self._buffer[:rest] = bytes(self._buffer[start : self._end])
        self._end = rest
