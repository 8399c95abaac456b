"""Products of matrices, checked by random combinations of their rows and columns (Freivalds 1977).

For a claim X Y = Z and random vectors s and r of bits, tossed when Z can no longer be changed, s (Z - X Y) r is zero if
the claim is right. If it is wrong, with E = Z - X Y, some entry of E r is not zero with a chance of 1/2 at least, for
flipping one bit of r changes it (bits, and not ring elements: 2**63 times an even number is zero); and then s E r is
not, again by 1/2. So each try misses by 3/4 at most, or 1/2 where X has one row or Y one column; 99 tries, or 41, miss
by 2**-41. Claims of one batch, X_g Y_g = Z_g, share their tries: the sum over g misses no more often, as each try takes
any given value by 3/4 at most.

What is left, (s X)(Y r) = s Z r, is a sum of k products a try, which go to the ledger: 99 k of them instead of m k n.
Where m n is smaller than the number of tries, all products are taken one by one to begin with.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from protocols.smpc.replicated.checked.buckets import NUMBERS, SECURITY, Ledger, check_whole
from protocols.smpc.replicated.checked.contract import Operation
from protocols.smpc.replicated.checked.triangle import Triangle
from protocols.smpc.replicated.kernels import Geometry, convolve, matmul, patches
from protocols.smpc.replicated.link import Words
from protocols.smpc.replicated.randomness import Stream
from protocols.smpc.replicated.sharing import Secret

__all__ = ["Matrices", "tries"]

_MOST = 2**23  # words of matrices that wait for their check


@dataclass(frozen=True, slots=True, eq=False)
class _Claim:
    """left (batch, m, k) times right (batch, k, n) is product (batch, m, n)."""

    left: Secret
    right: Secret
    product: Secret

    @property
    def size(self) -> int:
        return self.left.size + self.right.size + self.product.size


def tries(rows: int, columns: int) -> int:
    """How many random combinations miss a wrong product of that shape with a chance of 2**-41 at most."""
    sides = (rows > 1) + (columns > 1)
    return 1 if not sides else math.ceil(SECURITY / -math.log2(1 - 0.5**sides))


class Matrices:
    """Bilinear operations that have been claimed and not yet checked."""

    def __init__(self, triangle: Triangle, ledger: Ledger) -> None:
        """ledger: of numbers, for what is left of each claim."""
        self._triangle = triangle
        self._ledger = ledger
        self._claims: list[_Claim] = []

    def multiply(self, operation: Operation, left: Secret, right: Secret) -> Secret:
        """Any bilinear operation: one round where it is a product of matrices or a convolution.

        Any other is checked at once, and slowly.
        """
        if operation is np.multiply:
            return self._ledger.multiply(left, right)
        if operation is matmul:
            return self._product(left, right)
        if isinstance(operation, partial) and operation.func is convolve and not operation.args:
            return self._convolution(left, right, **operation.keywords)
        shape = np.shape(operation(left.first, right.first))

        def flat(one: Words, other: Words) -> Words:
            return np.reshape(operation(one, other), -1)

        product = self._triangle.back([NUMBERS.part(self._triangle, flat, left, right)])[0]
        check_whole(self._triangle, flat, left, right, product)
        return product.reshape(*shape)

    def check(self) -> None:
        """Turn all claims into products for the ledger. Two rounds to toss a coin and one a claim."""
        if not self._claims:
            return
        coins = Stream(self._triangle.toss(), b"combinations")
        claims, self._claims = self._claims, []
        for claim in claims:
            self._combine(claim, coins)

    def _product(self, left: Secret, right: Secret) -> Secret:
        """With numpy's rules for shapes."""
        rows = left if len(left.shape) > 1 else left[None]
        columns = right if len(right.shape) > 1 else right[:, None]
        batch = np.broadcast_shapes(rows.shape[:-2], columns.shape[:-2])
        shape = (*batch, *left.shape[-2:-1], *(right.shape[-1:] if len(right.shape) > 1 else ()))
        if len(columns.shape) == 2:
            rows, columns = rows.reshape(1, -1, rows.shape[-1]), columns[None]
        else:
            rows, columns = (_flat(side.broadcast_to((*batch, *side.shape[-2:]))) for side in (rows, columns))
        return self._of(rows, columns).reshape(*shape)

    def _convolution(self, planes: Secret, weights: Secret, geometry: Geometry) -> Secret:
        """As products of the weights of each group with its windows."""
        outputs, depth, *kernel = weights.shape
        groups, side = geometry.groups, (kernel[0], kernel[1])

        def laid(share: Words) -> Words:
            seen = patches(share, side, geometry)
            batch, _, rows, columns = seen.shape[:4]
            seen = seen.reshape(batch, groups, depth, rows, columns, *kernel).transpose(1, 2, 5, 6, 0, 3, 4)
            return seen.reshape(groups, -1, batch * rows * columns)

        height, width = patches(planes.first[:1, :1], side, geometry).shape[2:4]
        out = self._of(weights.reshape(groups, outputs // groups, -1), planes.map(laid))
        return out.reshape(outputs, planes.shape[0], height, width).map(lambda share: share.swapaxes(0, 1))

    def _of(self, left: Secret, right: Secret) -> Secret:
        """(batch, m, k) times (batch, k, n)."""
        rows, columns = left.shape[1], right.shape[2]
        if rows * columns <= tries(rows, columns):
            pairs = self._ledger.multiply(left[..., None], right[:, None])
            return pairs.sum(2)
        product = self._triangle.back([NUMBERS.part(self._triangle, matmul, left, right)])[0]
        self._claims.append(_Claim(*(each.map(np.copy) for each in (left, right, product))))
        if sum(claim.size for claim in self._claims) > _MOST:
            self.check()
        return product

    def _combine(self, claim: _Claim, coins: Stream) -> None:
        batch, rows, _ = claim.left.shape
        count = tries(rows, claim.right.shape[2])
        above = _bits(coins, (batch, count, rows))
        beside = _bits(coins, (batch, claim.right.shape[2], count))
        left = claim.left.map(lambda share: matmul(above, share))
        right = claim.right.map(lambda share: matmul(share, beside).swapaxes(1, 2))
        terms = self._ledger.multiply(left, right).sum((0, 2))
        across = claim.product.map(lambda share: (matmul(above, share) * beside.swapaxes(1, 2)).sum((0, 2)))
        self._triangle.expect_zero(across - terms)


def _flat(side: Secret) -> Secret:
    return side.reshape(math.prod(side.shape[:-2]), *side.shape[-2:])


def _bits(coins: Stream, shape: Sequence[int]) -> Words:
    """Random zeros and ones; but ones alone where there is one row or column only."""
    if shape[1] == 1 or shape[2] == 1:
        return np.ones(shape, np.uint64)
    return coins.draw(shape, np.uint8).astype(np.uint64) & np.uint64(1)
