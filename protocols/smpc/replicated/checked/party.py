"""A party that takes nobody's word: every operation of the engine, with abort. See the package for what it promises.

    party = CheckedParty(link, randomness, fixed)
    party.admit(values.values())         # from outside: does what the three were given belong together?
    outputs = run_program(program, party, values)
    outputs = party.release(outputs)     # raises, or everything was computed as it should be

What it costs: see `buckets`, and `tests/bench/abort.py`. A comparison on 64 bits takes 244 ANDs, a truncation 64 ANDs
and 4 products, a bit made a number 2 products.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mesh.errors import BadInput, Misuse
from protocols.smpc.replicated.checked.buckets import BITS, NUMBERS, Ledger, check
from protocols.smpc.replicated.checked.circuits import Sum, all_set, alone, exclusive, inverted
from protocols.smpc.replicated.checked.contract import Checked, Operation
from protocols.smpc.replicated.checked.matrices import Matrices
from protocols.smpc.replicated.checked.triangle import Triangle
from protocols.smpc.replicated.link import PARTIES, Link, Words
from protocols.smpc.replicated.party import Hand
from protocols.smpc.replicated.randomness import Correlated, Stream
from protocols.smpc.replicated.sharing import FixedPoint, Secret, SecretBits
from protocols.smpc.replicated.slicing import WORD, gathered, spread
from protocols.smpc.replicated.together import Work

__all__ = ["CheckedParty"]

T = TypeVar("T")

_LIFT = 62  # 2**62 is added so that what is truncated is not negative
_ONE = np.uint64(1)


class CheckedParty(Checked):
    """One of three, any single one of which may cheat. Takes the place of `Party`.

    Its `link` counts what is sent, and carries nothing: an operation that has no checked version raises Misuse.
    """

    def __init__(self, link: Link, randomness: Correlated, fixed: FixedPoint | None = None) -> None:
        self._triangle = Triangle(link, randomness)
        super().__init__(self._triangle.seen, randomness, fixed)
        self._numbers, self._bits = Ledger(self._triangle, NUMBERS), Ledger(self._triangle, BITS)
        self._matrices = Matrices(self._triangle, self._numbers)

    def admit(self, values: Iterable[Secret | NDArray[Any]]) -> None:
        """See that what owners handed in belongs together. To be called before anything is computed on it.

        Args:
            values: secrets, and what all three were told in clear; in the same order everywhere.

        Raises:
            PeerMisbehaved: two parties hold different versions of a share, or of something known: an owner or a party
                has cheated.
            PeerLost: another party has found that, or is gone.
        """
        for value in values:
            if isinstance(value, Secret):
                self._triangle.expect_same(value)
            else:
                self._triangle.expect_known(value)
        self._triangle.agree()

    def verify(self) -> None:
        """Check everything computed so far. 6 rounds, and 3 more where there were products of matrices.

        Raises:
            PeerMisbehaved: somebody has cheated. Nothing can be computed or revealed any more.
            PeerLost: another party has found that, or is gone.
        """
        self._matrices.check()
        check(self._triangle, [self._numbers, self._bits])
        self._triangle.agree()

    def release(self, outputs: Mapping[str, Secret]) -> dict[str, Secret]:
        """Verify, and give shares of the same values that tell nothing but these to whoever is handed all three.

        Raises as `verify`.
        """
        self.verify()
        coin = Stream(self._triangle.toss(), b"release")
        return {name: self._shaken(secret, coin) for name, secret in outputs.items()}

    def _shaken(self, secret: Secret, coin: Stream) -> Secret:
        """Zero is added, in three parts that the three parties know and nobody else."""
        one, two = coin.draw(secret.shape), coin.draw(secret.shape)
        parts = (one, two, np.negative(one + two))
        return secret + Secret(parts[self.rank], parts[(self.rank + 1) % PARTIES])

    def share(self, owner: int, values: Words | None, shape: tuple[int, ...]) -> Secret:
        """One word a value, from the owner to one other. Whatever it sends is what it has brought in."""
        return self._triangle.given(owner, values, shape)

    def reveal(self, secret: Secret, to: Collection[int] = range(PARTIES)) -> Words | None:
        """Verify, and tell some parties. Raises as `verify`."""
        self.verify()
        return self._triangle.shown(secret, to)

    def product(self, operation: Operation, left: Secret, right: Secret) -> Secret:
        """One round, one word for each element of the result; see `matrices`."""
        return self._matrices.multiply(operation, left, right)

    def ring(self, bits: SecretBits) -> Secret:
        """b_0 ^ b_1 ^ b_2 as numbers: x + y - 2 x y twice. Two rounds."""
        size = math.prod(bits.shape)
        plain = Secret(spread(bits.first, size) & _ONE, spread(bits.second, size) & _ONE)
        zero, one, two = (alone(self.rank, plain, number) for number in range(PARTIES))
        for other in (one, two):
            zero = zero + other - self._numbers.multiply(zero, other).times(2)
        return zero.reshape(*bits.shape)

    def negative(self, secret: Secret, bits: int) -> SecretBits:
        """8 rounds at most: the top bits and the carry of the lower ones."""
        if not 2 <= bits <= WORD:
            raise BadInput(f"Signs are told on 2 to {WORD} bits, not {bits}.")
        parts = Sum(self._triangle, self._bits, secret.reshape(-1), bits)
        top = exclusive(parts.lower[-1], parts.upper[-1])
        return self._packed(exclusive(top, parts.carry(self._bits, bits - 1)), secret.shape)

    def zero(self, secret: Secret) -> SecretBits:
        """7 rounds: whether a and -x_2 agree in every bit."""
        flat = secret.reshape(-1)
        turned = flat - alone(self.rank, flat, 2).times(2)
        parts = Sum(self._triangle, self._bits, turned, WORD)
        same = inverted(self.rank, exclusive(parts.lower, parts.upper))
        return self._packed(all_set(self._bits, same), secret.shape)

    def _packed(self, bits: Secret, shape: tuple[int, ...]) -> SecretBits:
        return SecretBits(bits.first, bits.second, shape)

    def divided(self, secret: Secret, bits: int, *, exact: bool) -> Secret:
        """3 rounds, and up to 9 more if exact.

        With b = x_2 + 2**62, the sum a + b is x + 2**62 + w 2**64, where w is 1 unless both top bits are 0, for
        x + 2**62 is under 2**63. And a >> f is (x_0 >> f) + (x_1 >> f) + c - v 2**(64 - f), with the carries c into bit
        f and v out of bit 63 of x_0 + x_1. So a >> f and b >> f rounded up, less w 2**(64 - f), are under one unit off.
        Exactly, b is rounded down after half a unit is added, and the carry of both into bit f is added, too.
        """
        if not 0 < bits <= _LIFT:
            raise BadInput(f"1 to {_LIFT} bits can be taken off a ring element, not {bits}.")
        half = 1 << (bits - 1) if exact else 0
        flat = self.add(secret.reshape(-1), np.array([(1 << _LIFT) + half], np.uint64))
        parts = Sum(self._triangle, self._bits, flat, WORD, last=True)
        lower = self._lifted(flat, parts, bits)
        upper = alone(self.rank, flat, 2)
        top = upper.map(lambda share: share >> np.uint64(WORD - 1))
        wrapped = lower[1] + lower[2] + top - self._numbers.multiply(lower[2], top)
        shift, rest = np.uint64(bits), np.uint64((1 << bits) - 1)
        out = flat.map(lambda share: share >> shift) + lower[0] - wrapped.times(1 << (WORD - bits))
        if exact:
            out += self.ring(self._packed(parts.carry(self._bits, bits), flat.shape))
        else:
            out += upper.map(lambda share: ((share & rest) != 0).astype(np.uint64))
        return self.add(out, np.array([-(1 << (_LIFT - bits)) % 2**64], np.uint64)).reshape(*secret.shape)

    def _lifted(self, flat: Secret, parts: Sum, bits: int) -> Secret:
        """As numbers, (3, n): the carries of x_0 + x_1 into bit `bits` and out of bit 63, and bit 63 of a.

        Rank 0 brings them in. Each is claimed to be its own square, which only 0 and 1 are modulo 2**64, and the lowest
        bits of its shares must give, under exclusive or, the bit that is known to be right.
        """
        known: Words | None = None
        if self.helps:
            a, mask = flat.total, np.uint64((1 << bits) - 1)
            into = ((flat.first & mask) + (flat.second & mask)) >> np.uint64(bits)
            known = np.stack([into, (a < flat.first).astype(np.uint64), a >> np.uint64(WORD - 1)])
        lifted = self._triangle.given(0, known, (3, flat.size))
        self._numbers.claim(lifted, lifted, lifted)
        right = Secret.stack([parts.carries[bits - 1], parts.carries[-1], parts.lower[-1]])
        lowest = lifted.map(lambda share: np.stack([gathered(row) for row in share]))
        self._triangle.expect_zero(exclusive(lowest, right), bitwise=True)
        return lifted

    def together(self, *works: Work[T]) -> list[T]:
        """One after another: their rounds are not shared."""
        return [work() for work in works]

    def deal(self, hands: Sequence[Hand]) -> list[Words]:
        """Raises Misuse: nobody deals here."""
        raise _unchecked()

    def swap(self, out: Sequence[Words]) -> list[Words]:
        """Raises Misuse: what ranks 1 and 2 tell each other could not be checked."""
        raise _unchecked()

    def reshare(self, part: Words | None, shape: tuple[int, ...]) -> Secret:
        """Raises Misuse, as `swap`."""
        raise _unchecked()

    def reshare_bits(self, part: Words | None, columns: int, shape: tuple[int, ...]) -> SecretBits:
        """Raises Misuse, as `swap`."""
        raise _unchecked()


def _unchecked() -> Misuse:
    return Misuse("This operation has no checked version, and must not run among parties that may cheat.")
