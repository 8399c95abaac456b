"""A search for pieces of secrets, in whatever form somebody may have let them slip. Pure.

A piece counts as found where `LEAST` bytes in a row, or the whole of something shorter, stand anywhere: 24 bytes are
three ring elements, six float32, or eight pixels. Runs of too few different bytes are no trace of anything.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LEAST", "Found", "Traces", "forms_of", "planted"]

LEAST = 24
_WORD, _PAIR = 8, 16  # bytes: a pair of words is looked up at once, and LEAST holds one wherever the haystack is cut
_PLAIN = 4  # a pair of fewer different bytes says nothing: padding, small whole numbers
_TELLING = 6  # different bytes in a run that counts
_ALIKE = 256  # places in the forms that are tried for one pair: plain areas of a picture repeat
_MIX = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F], np.uint64)


@dataclass(frozen=True, slots=True)
class Found:
    """A piece of `form` of `secret`, of so many bytes, at `place` in what was searched."""

    secret: str
    form: str
    length: int
    place: int


def forms_of(values: NDArray[Any], fraction: int) -> dict[str, bytes]:
    """Numbers as they may lie in memory: floats, fixed point in 64 bits, bytes where they are such; and as base64.

    Args:
        fraction: bits after the binary point.
    """
    numbers = np.ascontiguousarray(values)
    floats = numbers.astype("<f4")
    raw = {
        "float32": floats.tobytes(),
        "float64": numbers.astype("<f8").tobytes(),
        f"fixed point {fraction}": np.rint(numbers.astype(np.float64) * 2.0**fraction).astype("<i8").tobytes(),
    }
    if numbers.dtype == np.uint8:
        raw["uint8"] = numbers.tobytes()
    return raw | {f"base64 of {name}": text for name, form in raw.items() for text in [_base64(form)]}


def _base64(form: bytes) -> bytes:
    """Wherever in a longer text it may begin: one after the other, from its first, second and third byte on."""
    return b"\n".join(base64.b64encode(form[start : len(form) - (len(form) - start) % 3]) for start in range(3))


class Traces:
    """What is looked for.

    Args:
        secrets: by name of the secret, its forms by name.
    """

    def __init__(self, secrets: Mapping[str, Mapping[str, bytes]]) -> None:
        self.forms = [(secret, form, data) for secret, forms in secrets.items() for form, data in forms.items()]
        keys, places = [np.empty(0, np.uint64)], [np.empty(0, np.uint64)]
        for number, (_, _, data) in enumerate(self.forms):
            if len(data) >= LEAST:
                windows = np.lib.stride_tricks.sliding_window_view(np.frombuffer(data, np.uint8), _PAIR)
                telling = np.nonzero(_different(windows) >= _PLAIN)[0]
                keys.append(_keys(np.ascontiguousarray(windows[telling]).view("<u8")))
                places.append((np.uint64(number) << np.uint64(40)) | telling.astype(np.uint64))
        together = np.concatenate(keys)
        order = np.argsort(together, kind="stable")
        self._keys, self._places = together[order], np.concatenate(places)[order]

    def search(self, data: bytes) -> list[Found]:
        """Every form that was found, its longest piece of each."""
        best = {number: found for found, number in self._whole(data)}
        words = np.frombuffer(data, "<u8", len(data) // _WORD)
        hay = _keys(np.lib.stride_tricks.sliding_window_view(words, 2)) if len(words) > 1 else words[:0]
        at = np.searchsorted(self._keys, hay) % max(1, len(self._keys))
        hits = np.nonzero(self._keys[at] == hay)[0] if len(self._keys) else at[:0]
        for hit in hits.tolist():
            for found, number in self._runs(data, hit * _WORD, int(at[hit])):
                if number not in best or best[number].length < found.length:
                    best[number] = found
        return list(best.values())

    def _whole(self, data: bytes) -> list[tuple[Found, int]]:
        """Forms that are too short to hold a word wherever the haystack is cut."""
        told = [(*each, number, data.find(each[2])) for number, each in enumerate(self.forms) if len(each[2]) < LEAST]
        return [(Found(name, form, len(needle), at), number) for name, form, needle, number, at in told if at >= 0]

    def _runs(self, data: bytes, place: int, first: int) -> list[tuple[Found, int]]:
        """What continues to match on both sides of a pair, wherever in the forms that pair stands."""
        last = np.searchsorted(self._keys, self._keys[first], "right")
        runs = []
        for where in self._places[first : min(int(last), first + _ALIKE)].tolist():
            number, start = where >> 40, where & (2**40 - 1)
            secret, form, needle = self.forms[number]
            before = _alike(data[max(0, place - 4096) : place][::-1], needle[max(0, start - 4096) : start][::-1])
            after = _alike(data[place : place + 4096], needle[start : start + 4096])
            run = needle[start - before : start + after]
            if len(run) >= min(LEAST, len(needle)) and len(set(run)) >= _TELLING:
                runs.append((Found(secret, form, len(run), place - before), number))
        return runs


def planted(traces: Traces, data: bytes, random: np.random.Generator) -> tuple[bytes, set[tuple[str, str]]]:
    """The same haystack with a piece of every form laid into it somewhere: what a search must find.

    Returns:
        The haystack, longer by those pieces, and which (secret, form) they are of.
    """
    pieces, whole = [], set()
    for secret, form, needle in traces.forms:
        starts = [int(start) for start in random.permutation(max(1, len(needle) - 2 * LEAST))[:200]]
        told = [needle[start : start + 2 * LEAST] for start in starts]
        piece = max(told, key=lambda one: len(set(one)))
        if len(set(piece)) >= _TELLING:
            pieces.append((int(random.integers(len(data) + 1)), piece))
            whole.add((secret, form))
    made, before = [], 0
    for place, piece in sorted(pieces):
        made += [data[before:place], piece]
        before = place
    return b"".join([*made, data[before:]]), whole


def _alike(one: bytes, other: bytes) -> int:
    """How many bytes both begin with alike."""
    length = min(len(one), len(other))
    differ = np.nonzero(np.frombuffer(one, np.uint8, length) != np.frombuffer(other, np.uint8, length))[0]
    return int(differ[0]) if len(differ) else length


def _keys(pairs: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A number for each pair of words. Unequal pairs seldom share one, and what it finds is compared byte by byte."""
    mixed: NDArray[np.uint64] = pairs[:, 0] * _MIX[0] + (pairs[:, 1] ^ (pairs[:, 1] >> np.uint64(29))) * _MIX[1]
    return mixed


def _different(windows: NDArray[np.uint8]) -> NDArray[np.int64]:
    """How many different bytes each window has."""
    ordered = np.sort(windows, axis=1)
    steps: NDArray[np.int64] = 1 + (ordered[:, 1:] != ordered[:, :-1]).sum(axis=1)
    return steps
