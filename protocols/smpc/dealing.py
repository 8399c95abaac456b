"""How an owner hands its secrets to the three parties, and how an answer is put together. Pure: knows no network.

All values of one batch, the inputs of a request or a model's weights, lie in one row of 64-bit words, in the order of
the program. Share 0 and share 1 are drawn from two seeds of the session, so only share 2 has to be sent, to the two
parties that hold it: a third of what sending all pairs would take (the seeded shares of Araki et al. 2016, section 3).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from mesh.errors import BadInput
from protocols.smpc.program.steps import Array, Port
from protocols.smpc.replicated.link import PARTIES, Words
from protocols.smpc.replicated.randomness import Stream
from protocols.smpc.replicated.sharing import FixedPoint

__all__ = [
    "MODEL", "PIECE", "SALT", "WORD", "Dealer", "Taker", "digest_of", "drawn_by", "in_clear", "labelled",
    "pack_weights", "pieces", "recombined", "ring_row", "seeds_for", "total", "unpack_weights", "values_of", "words_of",
]  # fmt: skip

WORD = 8
"""Bytes of a ring element."""

PIECE = 2**21
"""Ring elements that are sent at once: 16 MiB."""

SALT = 16
"""Bytes before stored weights that keep their hash from being guessed."""

MODEL = -1
"""The batch that is the model's weights; requests are counted from 0."""

_DRAWN = (0, 1)  # numbers of the shares that come from seeds; the other one is sent
_STORED = {"number": "<f4", "integer": "<i8", "truth": "|b1"}
_PLAIN = {"number": np.float64, "integer": np.int64, "truth": np.int64}


def total(ports: Sequence[Port]) -> int:
    """How many numbers they hold together."""
    return sum(port.tensor.size for port in ports)


def pieces(count: int) -> Iterator[slice]:
    """So many words, cut into what is sent at once."""
    for start in range(0, count, PIECE):
        yield slice(start, min(start + PIECE, count))


def words_of(data: memoryview | bytes) -> Words:
    """Words as they travel, little-endian, to be read only."""
    return np.frombuffer(data, "<u8")


def ring_row(ports: Sequence[Port], arrays: Mapping[str, Array], fixed: FixedPoint) -> Words:
    """Values as ring elements in one row.

    Raises:
        BadInput: one is missing, too many, of another shape, or not a number in the range of `fixed`.
    """
    return _row(ports, arrays, lambda port, array: _encoded(port, array, fixed))


def in_clear(ports: Sequence[Port], arrays: Mapping[str, Array]) -> Words:
    """Values as they are, eight bytes each, in one row. Raises BadInput as `ring_row`."""
    return _row(ports, arrays, lambda port, array: array.astype(_PLAIN[port.tensor.kind]).view(np.uint64))


def labelled(ports: Sequence[Port], row: Words) -> dict[str, Words]:
    """One row, cut back into what each port holds, in its shape."""
    found, start = {}, 0
    for port in ports:
        found[port.name] = row[start : start + port.tensor.size].reshape(port.tensor.shape)
        start += port.tensor.size
    return found


def values_of(ports: Sequence[Port], row: Words) -> dict[str, Array]:
    """What `in_clear` wrote: float64, int64 or bool."""
    plain = {port.name: _PLAIN[port.tensor.kind] for port in ports}
    truths = {port.name for port in ports if port.tensor.kind == "truth"}
    return {
        name: words.view(plain[name]).astype(bool) if name in truths else words.view(plain[name])
        for name, words in labelled(ports, row).items()
    }


def drawn_by(party: int) -> set[int]:
    """Numbers of the shares that a party holds and draws by itself."""
    return {party, (party + 1) % PARTIES} & {*_DRAWN}


def seeds_for(party: int, seeds: tuple[bytes, bytes]) -> dict[int, bytes]:
    """Of the session's two seeds, those that a party draws from, by the share's number."""
    return {number: seeds[number] for number in drawn_by(party)}


class Dealer:
    """The owner's side of one batch: gives share 2 of what it is given, piece after piece."""

    def __init__(self, seeds: tuple[bytes, bytes], batch: int) -> None:
        self._streams = tuple(Stream(seed, _label(batch)) for seed in seeds)

    def masked(self, words: Words) -> Words:
        """Share 2. Uniform to whoever lacks one of the seeds."""
        out = words - self._streams[0].draw(words.shape)
        out -= self._streams[1].draw(words.shape)
        return out


class Taker:
    """A party's side of one batch.

    Args:
        seeds: by number of the share, as `seeds_for` gives them.
    """

    def __init__(self, party: int, seeds: Mapping[int, bytes], batch: int) -> None:
        self._numbers = (party, (party + 1) % PARTIES)
        self._streams = {number: Stream(seed, _label(batch)) for number, seed in seeds.items()}

    def pair(self, masked: Words, count: int) -> tuple[Words, Words]:
        """This party's two shares of the next `count` numbers. `masked` is share 2, and empty where it holds none.

        Raises:
            BadInput: there are more or fewer of them.
        """
        holds = 2 in self._numbers
        if masked.size != (count if holds else 0):
            raise BadInput(f"The owner sent {masked.size} words of share 2 where {count if holds else 0} were due.")
        first, second = (
            self._streams[number].draw(count) if number in self._streams else masked.astype(np.uint64)
            for number in self._numbers
        )
        return first, second


def digest_of(row: Words) -> bytes:
    """SHA-256 of a row of words."""
    return hashlib.sha256(np.ascontiguousarray(row).data).digest()


def recombined(ports: Sequence[Port], shares: Sequence[Words], fixed: FixedPoint) -> dict[str, Array]:
    """The outputs that three rows of shares add up to: float32, int64 or bool."""
    found: dict[str, Array] = {}
    for port, words in zip(ports, labelled(ports, shares[0] + shares[1] + shares[2]).values(), strict=True):
        match port.tensor.kind:
            case "number":
                found[port.name] = fixed.decode(words).astype(np.float32)
            case "integer":
                found[port.name] = words.view(np.int64)
            case _:
                found[port.name] = words != 0
    return found


def pack_weights(ports: Sequence[Port], arrays: Mapping[str, Array], salt: bytes = bytes(SALT)) -> bytes:
    """A model's weights as they are stored: one after the other, float32, int64 or one byte of truth, little-endian.

    Args:
        salt: `SALT` random bytes that come first. Blobs are fetched by their hash, and without salt whoever guesses the
            weights could find out who has them.

    Raises:
        BadInput: one is missing or of another shape.
    """
    _expect(ports, arrays)
    return salt + b"".join(np.asarray(arrays[port.name]).astype(_STORED[port.tensor.kind]).tobytes() for port in ports)


def unpack_weights(ports: Sequence[Port], blob: bytes) -> dict[str, Array]:
    """What `pack_weights` wrote. Raises BadInput: these are the weights of another program."""
    kinds = [np.dtype(_STORED[port.tensor.kind]) for port in ports]
    if len(blob) != SALT + sum(kind.itemsize * port.tensor.size for kind, port in zip(kinds, ports, strict=True)):
        raise BadInput("The stored weights are not those of this program: add the model again.")
    found, start = {}, SALT
    for kind, port in zip(kinds, ports, strict=True):
        count = port.tensor.size
        found[port.name] = np.frombuffer(blob, kind, count, start).reshape(port.tensor.shape)
        start += kind.itemsize * count
    return found


def _row(ports: Sequence[Port], arrays: Mapping[str, Array], turned: Callable[[Port, Array], Words]) -> Words:
    _expect(ports, arrays)
    rows = [turned(port, np.ascontiguousarray(arrays[port.name])).reshape(-1) for port in ports]
    return np.concatenate(rows) if rows else np.empty(0, np.uint64)


def _encoded(port: Port, array: Array, fixed: FixedPoint) -> Words:
    return fixed.encode(array) if port.tensor.kind == "number" else array.astype(np.int64).view(np.uint64)


def _expect(ports: Sequence[Port], arrays: Mapping[str, Array]) -> None:
    if unknown := arrays.keys() - {port.name for port in ports}:
        raise BadInput(f"The model takes no {min(unknown)[:80]!r}: it takes {', '.join(port.name for port in ports)}.")
    for port in ports:
        if port.name not in arrays:
            raise BadInput(f"{port.name!r} is missing.")
        array = np.asarray(arrays[port.name])
        if array.shape != port.tensor.shape or array.dtype.kind not in "biuf":
            raise BadInput(
                f"{port.name!r} is {array.dtype.name}{list(array.shape)}; this model was made ready for numbers of "
                f"shape {list(port.tensor.shape)} and takes no other: add it again with --shape to change that."
            )


def _label(batch: int) -> bytes:
    return b"dealt %d" % batch
