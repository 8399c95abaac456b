"""Three parties with abort in one process: what each ends with, also where one of them cheats."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from mesh.errors import MeshError
from protocols.smpc.replicated.checked.party import CheckedParty
from protocols.smpc.replicated.link import PARTIES, Link, Words
from protocols.smpc.replicated.local import LocalLink, connect
from protocols.smpc.replicated.randomness import Correlated
from protocols.smpc.replicated.sharing import Secret, pairs_of, split
from tests.unit.protocols.smpc.parties import FIXED, keys_for

Program = Callable[..., Any]
Change = Callable[[bytearray], bytes | None]
"""What becomes of one message; None: the party stops there."""


class Crooked(Link):
    """A link whose party cheats in one message.

    Attributes:
        messages: sent so far, one for each array.
    """

    def __init__(self, link: LocalLink, *places: int, change: Change = bytes, kept: bool = False) -> None:
        """
        Args:
            places: of the messages that are changed.
            kept: the cheat remembers the change as what it has computed, and goes on with that.
        """
        super().__init__(link.rank)
        self._link = link
        self._places = places
        self._change = change
        self._kept = kept
        self.messages = 0

    def _carry(self, to: int, out: Sequence[memoryview], source: int, into: Sequence[memoryview]) -> None:
        self._link._carry(to, [self._sent(view) for view in out], source, into)

    def _sent(self, view: memoryview) -> memoryview:
        self.messages += 1
        if self.messages - 1 not in self._places:
            return view
        changed = self._change(bytearray(view))
        if changed is None:
            raise Stopped
        if self._kept and not view.readonly:
            view[:] = changed
        return memoryview(bytes(changed))

    def close(self) -> None:
        self._link.close()


class Stopped(Exception):
    """A cheating party has had enough."""


def ends_of(program: Program, hands: Sequence[Sequence[Any]], links: Sequence[Any], *, seed: int = 0) -> list[Any]:
    """Run a program at all three: what each returns, or the error that it ended with."""

    def at(link: Any) -> Any:
        party = CheckedParty(link, Correlated(link.rank, keys_for(link.rank, seed), b"test"), FIXED)
        try:
            return program(party, *hands[link.rank])
        except (MeshError, Stopped) as error:
            return error
        finally:
            link.close()

    with ThreadPoolExecutor(PARTIES) as pool:
        return list(pool.map(at, links))


def handed(*secrets: Any, seed: int = 0) -> list[list[Secret]]:
    """Ring elements as what each of the three is given."""
    rng = np.random.default_rng(seed)

    def draw(shape: tuple[int, ...], dtype: Any) -> Words:
        return rng.integers(0, 2**64, shape, np.uint64).astype(dtype)

    pairs = [pairs_of(split(np.asarray(secret, np.uint64), draw)) for secret in secrets]
    return [[pair[rank] for pair in pairs] for rank in range(PARTIES)]


def job(program: Program) -> Program:
    """A whole job: inputs admitted, a program run, its results released."""

    def whole(party: CheckedParty, *secrets: Secret) -> Secret:
        party.admit(secrets)
        return party.release({"y": program(party, *secrets)})["y"]

    return whole


def released(program: Program, *secrets: Any, seed: int = 0) -> Words:
    """What the shares of a job's result add up to, where nobody cheats."""
    ends = ends_of(job(program), handed(*secrets, seed=seed), connect(timeout=30), seed=seed)
    for end in ends:
        if isinstance(end, Exception):
            raise end
    for one, next_one in zip(ends, [*ends[1:], ends[0]], strict=True):
        np.testing.assert_array_equal(one.second, next_one.first)
    return np.asarray(ends[0].total + ends[1].second)
