"""Random ring elements that two parties have in common without talking: AES-128 in counter mode.

Each pair of parties shares one key, given by the caller and new for every session. A key is never used itself: for
every purpose a key of its own is derived from it, so that two streams never run over the same keystream; and a
stream only moves forward, so no position of it is ever used twice (the correlated randomness of Araki, Furukawa,
Lindell, Nof, Ohara 2016, section 2.2).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from enum import Enum

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import DTypeLike

from mesh.errors import Misuse
from protocols.smpc.replicated.link import PARTIES, Words

__all__ = ["KEY_BYTES", "Correlated", "Purpose", "Stream"]

KEY_BYTES = 32
_ZEROS = memoryview(bytes(1 << 16))  # encrypted in pieces that stay in the processor's first cache


class Purpose(Enum):
    """What a stream is for. Each has its own key, so no two uses ever meet on the same keystream."""

    MASK = b"mask"
    """Masks and shares within operations."""
    ZERO = b"zero"
    """Shares of zero."""
    INPUT = b"input"
    """The shares of what a party brings in."""


class Stream:
    """A keystream that two parties draw from in step. Not for two threads."""

    def __init__(self, key: bytes, label: bytes) -> None:
        """Raises Misuse: the key is not of 32 bytes."""
        if len(key) != KEY_BYTES:
            raise Misuse(f"A pair's key has {KEY_BYTES} bytes, this one {len(key)}; give the one agreed by the pair.")
        derived = hashlib.blake2b(label, key=key, digest_size=16, person=b"veilmesh smpc").digest()
        self._cipher = Cipher(algorithms.AES(derived), modes.CTR(bytes(16))).encryptor()

    def draw(self, shape: int | Sequence[int], dtype: DTypeLike = np.uint64) -> Words:
        """The next integers of the stream, uniform over the whole range of an unsigned `dtype`."""
        out: Words = np.empty(shape, dtype)
        view = out.reshape(-1).view(np.uint8).data
        for start in range(0, len(view), len(_ZEROS)):
            piece = view[start : start + len(_ZEROS)]
            self._cipher.update_into(_ZEROS[: len(piece)], piece)
        return out


class Correlated:
    """One party's streams with the two others."""

    def __init__(self, rank: int, keys: Mapping[int, bytes], session: bytes) -> None:
        """
        Args:
            keys: for each of the two other ranks, the 32 secret bytes that this party shares with it alone.
            session: bytes that no other session under the same keys has: it separates their streams.

        Raises:
            Misuse: a key is missing, too many or of another length; or both are the same.
        """
        others = {(rank + 1) % PARTIES, (rank - 1) % PARTIES}
        if set(keys) != others or len(set(keys.values())) != len(others):
            raise Misuse(f"Rank {rank} needs two different keys, with ranks {sorted(others)}.")
        self.rank = rank
        self._streams = {
            (peer, purpose): Stream(key, _label(rank, peer, purpose, session))
            for peer, key in keys.items()
            for purpose in Purpose
        }

    def shared_with(self, peer: int, purpose: Purpose = Purpose.MASK) -> Stream:
        """The stream that this party and `peer` draw from in step."""
        return self._streams[peer, purpose]

    def zero(self, shape: int | Sequence[int], dtype: DTypeLike = np.uint64) -> Words:
        """This party's part of zero: over the three parties the parts add up to 0, and any two of them are uniform."""
        ahead, behind = self._zero_streams()
        out = ahead.draw(shape, dtype)
        out -= behind.draw(shape, dtype)
        return out

    def zero_bits(self, shape: int | Sequence[int], dtype: DTypeLike = np.uint64) -> Words:
        """As `zero`, for exclusive or."""
        ahead, behind = self._zero_streams()
        out = ahead.draw(shape, dtype)
        out ^= behind.draw(shape, dtype)
        return out

    def _zero_streams(self) -> tuple[Stream, Stream]:
        ahead, behind = (self.rank + 1) % PARTIES, (self.rank - 1) % PARTIES
        return self.shared_with(ahead, Purpose.ZERO), self.shared_with(behind, Purpose.ZERO)


def _label(rank: int, peer: int, purpose: Purpose, session: bytes) -> bytes:
    low, high = sorted((rank, peer))
    return b"%d%d %s " % (low, high, purpose.value) + hashlib.sha256(session).digest()
