"""Python objects for torch's object collectives, without pickles: plain data and tensors travel, all else is refused.

torch sends objects as pickles, and unpickling can run any code at the receiver. On groups of ours
`broadcast_object_list`, `all_gather_object` and the rest send MessagePack instead, which can say nothing but what is
listed in `pack`. What cannot be said is refused before anything is sent. Programs that pickle by themselves and send
bytes (CrypTen's `send_obj` and `broadcast_obj`) cannot be seen from here: whoever brings such a program into a box
refuses them there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import msgspec
import torch
import torch.distributed as dist
from torch.distributed import distributed_c10d

from mesh.errors import BadFrame, Misuse
from protocols.runtimes.collectives.talk import bytes_of

__all__ = ["carry_objects", "pack", "unpack"]

_DEPTH = 50
_AS_THEY_ARE = frozenset({type(None), bool, float, str, bytes})
_SINGLE = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool, torch.float16, torch.bfloat16,
        torch.float32, torch.float64, torch.complex64, torch.complex128,
    )
}  # fmt: skip


def carry_objects() -> None:
    """From now on, in this process, torch.distributed sends objects over groups of ours in this way, and no other."""
    to_tensor, to_object = distributed_c10d._object_to_tensor, distributed_c10d._tensor_to_object

    def object_to_tensor(thing: Any, device: Any, group: Any) -> tuple[torch.Tensor, torch.Tensor]:
        if dist.get_backend(group) != "mesh":
            made: tuple[torch.Tensor, torch.Tensor] = to_tensor(thing, device, group)
            return made
        packed = torch.frombuffer(bytearray(pack(thing)), dtype=torch.uint8).clone()
        return packed, torch.tensor([packed.numel()])

    def tensor_to_object(tensor: torch.Tensor, size: Any, group: Any) -> Any:
        if dist.get_backend(group) != "mesh":
            return to_object(tensor, size, group)
        return unpack(bytes(bytes_of(tensor)[: int(size)]))

    distributed_c10d._object_to_tensor = object_to_tensor
    distributed_c10d._tensor_to_object = tensor_to_object


def pack(thing: Any) -> bytes:
    """`thing` as bytes.

    It may be made of None, truth values, numbers, text, bytes, lists, tuples, dicts and sets of such, tensors on the
    processor, and torch's sizes and dtypes: of exactly these types, at most 50 deep.

    Raises:
        Misuse: it is, or contains, something else.
    """
    return msgspec.msgpack.encode(_said(thing, _DEPTH))


def unpack(data: bytes) -> Any:
    """What `pack` made these bytes of.

    Raises:
        BadFrame: they were made by something else.
    """
    try:
        return _meant(msgspec.msgpack.decode(data))
    except (msgspec.DecodeError, ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise BadFrame(f"A peer sent {len(data)} bytes that are no object of ours: {error}.") from error


def _said(thing: Any, depth: int) -> Any:
    kind = type(thing)
    if kind in _AS_THEY_ARE:
        return thing
    if not depth:
        raise Misuse(f"an object more than {_DEPTH} deep cannot travel; perhaps it contains itself")
    if kind in _SEVERAL:
        return [kind.__name__, [_said(item, depth - 1) for item in thing]]
    if kind is dict:
        return ["dict", [[_said(key, depth - 1), _said(value, depth - 1)] for key, value in thing.items()]]
    if kind not in _OTHERS:
        raise Misuse(
            f"a {kind.__module__}.{kind.__qualname__} cannot travel: it would have to be pickled, and a pickle can run "
            "any code at the receiver. Send plain data and tensors, and make the object of them there."
        )
    return [kind.__name__, *_OTHERS[kind](thing)]


def _meant(said: Any) -> Any:
    if type(said) in _AS_THEY_ARE:
        return said
    if not isinstance(said, list):
        raise TypeError(f"a {type(said).__name__} among them")
    name, *rest = said
    return _MAKERS[name](*rest)


def _tensor(dtype: str, shape: list[int], data: bytes) -> torch.Tensor:
    kind = _SINGLE[dtype]
    if any(length < 0 for length in shape) or math.prod(shape) * kind.itemsize != len(data):
        raise ValueError(f"{len(data)} bytes for a tensor of {shape}")
    if not data:
        return torch.empty(shape, dtype=kind)
    return torch.frombuffer(bytearray(data), dtype=kind).view(shape)


def _parts_of_tensor(tensor: torch.Tensor) -> tuple[Any, ...]:
    name = str(tensor.dtype).removeprefix("torch.")
    if name not in _SINGLE or tensor.layout != torch.strided or tensor.device.type != "cpu":
        raise Misuse(f"a tensor of {tensor.dtype} with {tensor.layout} on {tensor.device} cannot travel in an object")
    return name, list(tensor.shape), bytes(bytes_of(tensor.detach().contiguous()))


_SEVERAL: dict[type, Callable[[Any], Any]] = {list: list, tuple: tuple, set: set, frozenset: frozenset}
_OTHERS: dict[type, Callable[[Any], tuple[Any, ...]]] = {
    int: lambda number: (hex(number),),
    complex: lambda number: (number.real, number.imag),
    torch.Size: lambda size: (list(size),),
    torch.dtype: lambda dtype: (str(dtype).removeprefix("torch."),),
    torch.Tensor: _parts_of_tensor,
}
_MAKERS: dict[str, Callable[..., Any]] = {
    **{kind.__name__: lambda items, make=make: make(map(_meant, items)) for kind, make in _SEVERAL.items()},
    "dict": lambda pairs: {_meant(key): _meant(value) for key, value in pairs},
    "int": lambda number: int(number, 16),
    "complex": complex,
    "Size": torch.Size,
    "dtype": _SINGLE.__getitem__,
    "Tensor": _tensor,
}
