"""Exponentials, sigmoids and their like, softmax and layer norm of secret numbers, each with its range and its error.

Every function takes any number a ring element can stand for: outside of the range where it changes it takes its limit,
by comparisons and not by hope. Errors are the largest found over the whole range against float64, with 18 fractional
bits (a unit is 3.8e-6), and tested.

The shape of the approximations follows Dong et al. 2023 (PUMA: softmax and GELU by ranges and pieces), Mohassel and
Rindal 2018 (ABY3: pieces) and, for the repeated squaring, Tan et al. 2021 (CryptGPU); the coefficients are our own, and
more exact, for a piece more costs one comparison in rounds that are paid for already.
"""

from __future__ import annotations

import math

import numpy as np

from protocols.smpc.replicated.arithmetic import mean, multiply
from protocols.smpc.replicated.comparison import clamp, largest
from protocols.smpc.replicated.curves import followed
from protocols.smpc.replicated.party import Party
from protocols.smpc.replicated.polynomial import FINE, fit, polynomial
from protocols.smpc.replicated.scaling import logarithm, over_root, shares_of
from protocols.smpc.replicated.sharing import Secret
from protocols.smpc.replicated.slicing import WORD
from protocols.smpc.replicated.tables import ERF, EXPONENTIAL, GELU, SIGMOID, SILU, TANH
from protocols.smpc.replicated.truncation import truncate

__all__ = [
    "erf",
    "exponential",
    "gelu",
    "hyperbolic_tangent",
    "layer_norm",
    "log_softmax",
    "sigmoid",
    "silu",
    "softmax",
]

_LEAST = -20.0  # e**-20 is 2e-9: a thousand of them add up to half a unit
_SQUARES = 6
_PLACES = 28  # fractional bits of sums of squares, which are small where it matters


def exponential(party: Party, x: Secret, *, high: float = 14.0, bits: int = WORD) -> Secret:
    """e**x, as (e**(x / 64))**64, for x up to `high`, at most 16; what is larger counts as `high`.

    Off by at most 2 units and 6e-5 of itself.
    """
    return _squared(party, clamp(party, x, _LEAST, high, bits=bits), high, party.fixed.fraction)


def _squared(party: Party, x: Secret, high: float, places: int) -> Secret:
    """e**x for x from -20 to `high`, with `places` fractional bits. The scale falls as values grow, so that each square
    stays under 2**61."""
    half = (high - _LEAST) / 2
    slope = 2.0 ** (2 * FINE - party.fixed.fraction) / half
    middle = party.add(x, party.fixed.encode([-(high + _LEAST) / 2]))
    u = truncate(party, middle.times(round(slope)), FINE)
    value = polynomial(party, u, fit(lambda v: np.exp(v / 2**_SQUARES), _LEAST, high, 4))
    scale = FINE
    for left in range(_SQUARES - 1, -1, -1):
        room = math.floor((61 - high / math.log(2) / 2 ** (left - 1)) / 2)
        after = min(FINE, room) if left else places
        value = multiply(party, value, value, bits=2 * scale - after)
        scale = after
    return value


def sigmoid(party: Party, x: Secret, *, bits: int = WORD) -> Secret:
    """1 / (1 + e**-x). Off by at most 2e-5 anywhere."""
    return followed(party, x, SIGMOID, bits=bits)


def hyperbolic_tangent(party: Party, x: Secret, *, bits: int = WORD) -> Secret:
    """tanh(x). Off by at most 4e-5 anywhere."""
    return followed(party, x, TANH, bits=bits)


def erf(party: Party, x: Secret, *, bits: int = WORD) -> Secret:
    """The error function. Off by at most 4e-5 anywhere."""
    return followed(party, x, ERF, bits=bits)


def gelu(party: Party, x: Secret, *, bits: int = WORD) -> Secret:
    """x Phi(x), as max(x, 0) and a bump. Off by at most 4e-5 anywhere."""
    return followed(party, x, GELU, plus_relu=True, bits=bits)


def silu(party: Party, x: Secret, *, bits: int = WORD) -> Secret:
    """x sigmoid(x), as max(x, 0) and a bump. Off by at most 4e-5 anywhere."""
    return followed(party, x, SILU, plus_relu=True, bits=bits)


def softmax(party: Party, x: Secret, axis: int, *, bits: int = WORD) -> Secret:
    """e**x over its sum along an axis, for differences under 2**(bits - 1) units. Off by at most 3e-5 anywhere."""
    _, grown, total, high = _grown(party, x, axis, bits)
    return shares_of(party, grown, total, high=high)


def log_softmax(party: Party, x: Secret, axis: int, *, bits: int = WORD) -> Secret:
    """The logarithm of softmax. Off by at most 3e-5 anywhere; values far below the largest are not cut off."""
    less, _, total, high = _grown(party, x, axis, bits)
    return less - logarithm(party, total, low=0, high=high, fraction=FINE)


def _grown(party: Party, x: Secret, axis: int, bits: int) -> tuple[Secret, Secret, Secret, int]:
    """x less its maximum; e to that and its sum (with the axis kept), with 26 fractional bits; and a power of two that
    the sum stays under."""
    top = largest(party, x, axis, bits=bits).map(lambda share: np.expand_dims(share, axis))
    less = x - top
    root = followed(party, less, EXPONENTIAL, bits=bits, places=FINE)
    for _ in range(3):
        root = multiply(party, root, root, bits=FINE)
    grown = root
    return less, grown, grown.sum(axis, keepdims=True), x.shape[axis].bit_length() + 1


def layer_norm(
    party: Party, x: Secret, axis: int | tuple[int, ...], weight: Secret | None = None, bias: Secret | None = None,
    *, epsilon: float = 1e-5,
) -> Secret:  # fmt: skip
    """x less its mean, over the root of its variance, times `weight`, plus `bias`, along axes.

    For n values a row whose variance is under 2**16 and which are all less than 2**12 from their mean. Before
    `weight`, off by at most 6 units, 3e-5 of itself, and 3 units over the root of the variance.
    """
    centred = x - mean(party, x, axis, keepdims=True)
    count = x.size // max(centred.sum(axis).size, 1)
    taken = 2 * (party.fixed.fraction - _PLACES // 2)
    total = multiply(party, centred, centred, bits=taken).sum(axis, keepdims=True)
    raised = party.add(total, np.full((1,), round(epsilon * count * 2**_PLACES), np.uint64))
    top = 2 * math.ceil(math.log2(count) / 2)
    gain = math.sqrt(count)
    out = over_root(party, centred, raised, low=top - 18, high=top + 16, fraction=_PLACES, gain=gain)
    if weight is not None:
        out = multiply(party, out, weight)
    return out if bias is None else out + bias
