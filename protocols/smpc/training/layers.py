"""Layers forward and backward on shares, by hand: what goes on, what is kept for the way back, what the weights learn.

Backward, a layer is given the slope: by how much the loss grows with each of its outputs, for each row of the batch on
its own, in the number format's units. It gives the slope of its inputs, and the gradient of its weights, summed over
the batch, as `Parts` with twice the fractional bits: those of all layers are settled together.

A rectifier keeps the bits that its comparison gave, and needs no comparison on the way back; max-pooling those of its
tree. Numbers are compared on 32 bits: with 18 fractional bits activations must stay under 4,096.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from protocols.smpc.replicated.arithmetic import bilinear, conv_transposed, product
from protocols.smpc.replicated.bits import select
from protocols.smpc.replicated.comparison import is_negative
from protocols.smpc.replicated.kernels import Geometry, convolve, matmul, patches
from protocols.smpc.replicated.link import Words
from protocols.smpc.replicated.party import Party
from protocols.smpc.replicated.sharing import Secret, SecretBits
from protocols.smpc.replicated.truncation import truncate
from protocols.smpc.training.network import Laid
from protocols.smpc.training.parts import Parts, part_of

__all__ = ["BITS", "Kept", "Weights", "backward", "forward", "split_weights"]

BITS = 32
"""On which activations are compared."""

Kept = Secret | SecretBits | Sequence[SecretBits] | None
"""What a layer's way back needs of its way there: its input, the bits it chose by, or nothing."""


@dataclass(frozen=True, eq=False)
class Weights:
    """Of one layer: its matrix or kernels, and its bias."""

    weight: Secret
    bias: Secret


def split_weights(network: Sequence[Laid], row: Secret) -> list[Weights | None]:
    """A row of all weights, by layer."""
    out: list[Weights | None] = []
    start = 0
    for laid in network:
        stop = start + laid.count
        middle = stop - laid.bias
        out.append(Weights(row[start:middle].reshape(*laid.weight), row[middle:stop]) if laid.weight else None)
        start = stop
    return out


def forward(party: Party, laid: Laid, weights: Weights | None, x: Secret) -> tuple[Secret, Kept]:
    """(batch, *before) to (batch, *after)."""
    match laid.layer.kind:
        case "flatten":
            return x.reshape(x.shape[0], *laid.after), None
        case "relu":
            positive = party.flip(is_negative(party, x, bits=BITS))
            return select(party, positive, x), positive
        case "max-pool":
            return _pooled(party, _windows(laid, x))
        case "average-pool":
            return _averaged(party, _windows(laid, x).sum(0), laid.layer.size**2), None
    return (x if weights is None else _linear(party, laid, weights, x)), x


def backward(
    party: Party, laid: Laid, weights: Weights | None, kept: Kept, slope: Secret, *, wanted: bool
) -> tuple[Secret | None, Sequence[Parts | Secret]]:
    """The slope of the inputs, if wanted, and the gradient of weight and bias, if there are any."""
    if weights is not None and isinstance(kept, Secret):
        gradient = _gradient(party, laid, kept, slope)
        return (_through(party, laid, weights, slope) if wanted else None), gradient
    if not wanted:
        return None, ()
    match laid.layer.kind:
        case "relu" if isinstance(kept, SecretBits):
            return select(party, kept, slope), ()
        case "max-pool" if isinstance(kept, Sequence):
            return _scattered(laid, _returned(party, kept, slope, laid.layer.size**2)), ()
        case "average-pool":
            share = _averaged(party, slope, laid.layer.size**2)
            return _scattered(laid, Secret.stack([share] * laid.layer.size**2)), ()
    return slope.reshape(slope.shape[0], *laid.before), ()


def _linear(party: Party, laid: Laid, weights: Weights, x: Secret) -> Secret:
    raised, operation = weights.bias.times(1 << party.fixed.fraction), matmul
    if laid.layer.kind == "conv":
        raised, operation = raised.reshape(-1, 1, 1), partial(convolve, geometry=_geometry(laid))
    return bilinear(party, operation, x, weights.weight, plus=raised.broadcast_to((x.shape[0], *laid.after)))


def _gradient(party: Party, laid: Laid, x: Secret, slope: Secret) -> tuple[Parts, Secret]:
    doubled = 1 << party.fixed.fraction  # sums over the batch need no product, only as many bits as one has
    if laid.layer.kind == "dense":
        return part_of(party, matmul, x.transpose(1, 0), slope), slope.sum(0).times(doubled)
    return part_of(party, partial(_kernel_slopes, laid=laid), x, slope), slope.sum((0, 2, 3)).times(doubled)


def _through(party: Party, laid: Laid, weights: Weights, slope: Secret) -> Secret:
    if laid.layer.kind == "dense":
        return product(party, slope, weights.weight.transpose(1, 0))
    layer = laid.layer
    surplus = [(side + 2 * layer.padding - layer.kernel) % layer.stride for side in laid.before[1:]]
    return conv_transposed(party, slope, weights.weight, _geometry(laid), surplus=(surplus[0], surplus[1]))


def _kernel_slopes(planes: Words, slopes: Words, *, laid: Laid) -> Words:
    """(outputs, channels, height, width): for each weight, the sum of what it was multiplied with times the slope."""
    side = laid.layer.kernel
    seen = patches(planes, (side, side), _geometry(laid)).transpose(0, 2, 3, 1, 4, 5)
    flat = np.ascontiguousarray(slopes.swapaxes(0, 1)).reshape(slopes.shape[1], -1)
    return matmul(flat, seen.reshape(flat.shape[1], -1)).reshape(laid.weight)


def _geometry(laid: Laid) -> Geometry:
    layer = laid.layer
    return Geometry((layer.stride, layer.stride), (1, 1), (layer.padding,) * 4)


def _windows(laid: Laid, x: Secret) -> Secret:
    """(window, batch, channels, rows, columns): every place of a window, over all windows."""
    size, (_, rows, columns) = laid.layer.size, laid.after
    down, across = slice(0, rows * size), slice(0, columns * size)
    cut = x[:, :, down, across].reshape(x.shape[0], laid.after[0], rows, size, columns, size)
    return cut.transpose(3, 5, 0, 1, 2, 4).reshape(size * size, x.shape[0], *laid.after)


def _scattered(laid: Laid, windows: Secret) -> Secret:
    """What `_windows` took apart, put together; zeros where no window lay."""
    size, (channels, rows, columns), batch = laid.layer.size, laid.after, windows.shape[1]
    laid_out = windows.reshape(size, size, batch, channels, rows, columns).transpose(2, 3, 4, 0, 5, 1)
    whole = laid_out.reshape(batch, channels, rows * size, columns * size)
    over = [(0, side - count * size) for side, count in zip(laid.before[1:], (rows, columns), strict=True)]
    return whole.pad([(0, 0), (0, 0), *over])


def _pooled(party: Party, windows: Secret) -> tuple[Secret, list[SecretBits]]:
    """The largest of each window, as a tree, and the bits by which each pair was decided: whether the second won."""
    decided = []
    while (length := windows.shape[0]) > 1:
        half = length // 2
        left, right = windows[:half], windows[half : 2 * half]
        won = is_negative(party, left - right, bits=BITS)
        decided.append(won)
        best = left + select(party, won, right - left)
        windows = Secret.concatenate([best, windows[2 * half :]]) if length % 2 else best
    return windows[0], decided


def _returned(party: Party, decided: Sequence[SecretBits], slope: Secret, count: int) -> Secret:
    """The slope of every place of a window: zero but where its largest stood."""
    lengths = [count]
    while lengths[-1] > 1:
        lengths.append(-(-lengths[-1] // 2))
    slopes = slope.reshape(1, *slope.shape)
    for length, won in zip(lengths[-2::-1], reversed(decided), strict=True):
        half = length // 2
        second = select(party, won, slopes[:half])
        slopes = Secret.concatenate([slopes[:half] - second, second, slopes[half:]])
    return slopes


def _averaged(party: Party, total: Secret, count: int) -> Secret:
    bits = 2 * count.bit_length() + party.fixed.fraction // 2
    return truncate(party, total.times(round(2**bits / count)), bits)
