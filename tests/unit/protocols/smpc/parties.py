"""Three parties in one process, and what a test wants to know of a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from protocols.smpc.replicated.link import Words
from protocols.smpc.replicated.local import LocalLink, connect, run_together
from protocols.smpc.replicated.opening import reveal
from protocols.smpc.replicated.party import Party
from protocols.smpc.replicated.randomness import Correlated
from protocols.smpc.replicated.sharing import FixedPoint, Secret, SecretBits, pairs_of, split

FIXED = FixedPoint()
PAIRS = ((0, 1), (0, 2), (1, 2))


@dataclass(frozen=True)
class Run:
    """What came out, in ring elements, and what it took."""

    words: list[Words]
    links: tuple[LocalLink, LocalLink, LocalLink]
    depth: int
    sent: tuple[int, ...]

    @property
    def numbers(self) -> Any:
        return FIXED.decode(self.words[0])

    @property
    def integers(self) -> Any:
        return self.words[0].view(np.int64)


def keys_for(rank: int, seed: int = 0) -> dict[int, bytes]:
    """The two keys of one rank: fixed by the seed, so that a failing test fails again."""
    return {a + b - rank: (b"%d%d key %d" % (a, b, seed)).ljust(32, b".")[:32] for a, b in PAIRS if rank in (a, b)}


def party_on(link: LocalLink, seed: int = 0) -> Party:
    return Party(link, Correlated(link.rank, keys_for(link.rank, seed), b"test"), FIXED)


def compute(
    program: Callable[..., Any], *secrets: Words, seed: int = 0, record: bool = False, timeout: float = 30.0
) -> Run:
    """Share ring elements, run a program at all three parties, and put together what it returns.

    Args:
        program: (party, *secrets) to a Secret, SecretBits, or several of them.
        seed: of the keys and of the shares.
    """
    rng = np.random.default_rng(seed)

    def draw(shape: tuple[int, ...], dtype: Any) -> Words:
        return rng.integers(0, 2**64, shape, np.uint64).astype(dtype)

    handed = [pairs_of(split(np.asarray(secret, np.uint64), draw)) for secret in secrets]
    links = connect(timeout=timeout, record=record)
    took: dict[int, tuple[int, int]] = {}

    def at(link: LocalLink) -> list[Words]:
        party = party_on(link, seed)
        results = program(party, *(pairs[link.rank] for pairs in handed))
        took[link.rank] = (link.depth, link.sent)
        if record:
            link.heard.append(b"")  # whatever follows is the opening
        return [opened(party, result) for result in (results if isinstance(results, tuple) else (results,))]

    words = run_together(links, at)
    for other in words[1:]:
        for one, same in zip(words[0], other, strict=True):
            np.testing.assert_array_equal(one, same)
    depths, sent = zip(*(took[rank] for rank in range(3)), strict=True)
    return Run(words[0], links, max(depths), sent)


def opened(party: Party, result: Secret | SecretBits) -> Words:
    if isinstance(result, SecretBits):
        return bits_of(party, result)
    words = reveal(party, result)
    assert words is not None
    return words


def bits_of(party: Party, bits: SecretBits) -> Words:
    """The bits themselves, as 0 and 1, at every party."""
    from protocols.smpc.replicated.slicing import spread

    lacking = np.empty_like(bits.first)
    link = party.link
    link.exchange(link.next, [np.ascontiguousarray(bits.first)], link.previous, [lacking])
    plain = spread(bits.first ^ bits.second ^ lacking, int(np.prod(bits.shape)))
    return (plain & np.uint64(1)).reshape(bits.shape)
