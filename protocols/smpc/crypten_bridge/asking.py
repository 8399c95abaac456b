"""What a party asks of a dealer of triples, and what that one answers: plain words, checked when they arrive.

CrypTen asks with a dictionary: the name of a function, a device, and sizes; and is answered with a size.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import torch

from mesh.errors import BadInput, PeerMisbehaved

__all__ = ["pack", "unpack"]

_Operation = Literal["mul", "matmul", "conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d"]


class _Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="wanted"):
    """One of the things that CrypTen's dealer makes."""

    function: Literal["additive", "square", "binary", "wraps", "B2A"]
    sizes: tuple[tuple[int, ...], ...]
    operation: _Operation | None = None
    layout: dict[str, int | tuple[int, ...]] = {}


class _Size(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="size"):
    size: tuple[int, ...]


class _Over(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="over"):
    """The dealer may go."""


_WORDS = msgspec.msgpack.Decoder(_Wanted | _Size | _Over)


def pack(thing: Any) -> bytes:
    """What CrypTen says to a dealer or a dealer answers. Raises BadInput: it is something else."""
    return msgspec.msgpack.encode(_in_words(thing))


def unpack(data: bytes, sender: str) -> Any:
    """As CrypTen expects it. Raises PeerMisbehaved: it is nothing that is said between the two."""
    try:
        words = _WORDS.decode(data)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise PeerMisbehaved(sender, f"What it says to a dealer, or as one, is malformed: {error}.") from error
    if isinstance(words, _Over):
        return "terminate"
    if isinstance(words, _Size):
        return torch.Size(words.size)
    args = [torch.Size(size) for size in words.sizes]
    return {
        "function": words.function,
        "device": None,
        "args": args if words.operation is None else [*args, words.operation],
        "kwargs": words.layout,
    }


def _in_words(thing: Any) -> msgspec.Struct:
    if thing == "terminate":
        return _Over()
    if isinstance(thing, torch.Size):
        return _Size(tuple(thing))
    if not isinstance(thing, dict) or thing.keys() != {"function", "device", "args", "kwargs"}:
        raise BadInput(f"A dealer is asked for triples and nothing else, not for {type(thing).__name__}.")
    sizes = tuple(tuple(one) for one in thing["args"] if not isinstance(one, str))
    operation: Any = next((one for one in thing["args"] if isinstance(one, str)), None)
    layout = {name: tuple(size) if isinstance(size, list | tuple) else size for name, size in thing["kwargs"].items()}
    return _Wanted(thing["function"], sizes, operation, layout)
