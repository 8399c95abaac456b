"""Messages: the only things that may leave a device.

A message is a frozen struct declared with `@message`. `Group.send` takes nothing else, so what a protocol gives away
can be read off its message classes, and `reveals` says of each what its receiver learns.

On the wire a message is MessagePack, checked against the field annotations on arrival: a missing, unknown or
ill-typed field is refused. Nothing is ever unpickled, and no registry of kinds exists: whoever receives names the
class.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

import msgspec

from mesh.errors import BadFrame, BadInput, IdentityError, Misuse
from mesh.ids import PeerId

__all__ = ["Message", "canonical", "from_canonical", "message", "pack", "unpack"]

M = TypeVar("M", bound="Message")
T = TypeVar("T")


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of every declared message. Always with `@message`, which gives it its kind.

    Attributes:
        kind: its name on the wire, "<protocol>.<noun>".
        reveals: one phrase: what the receiver learns from it.
    """

    kind: ClassVar[str]
    reveals: ClassVar[str]


def message(kind: str, *, reveals: str) -> Callable[[type[M]], type[M]]:
    """Declare a message class.

    Args:
        kind: its name on the wire, "<protocol>.<noun>", never reused with other fields.
        reveals: one phrase: what the receiver learns from it. "nothing" is allowed.

    Raises:
        Misuse: `reveals` is empty, `kind` has no protocol, or the class does not derive from `Message`.
    """
    if not reveals.strip():
        raise Misuse(f"message {kind!r} must say what it reveals")
    if "." not in kind:
        raise Misuse(f"message {kind!r} must be named <protocol>.<noun>")

    def declare(cls: type[M]) -> type[M]:
        if not issubclass(cls, Message):
            raise Misuse(f"{cls.__name__} must derive from Message")
        cls.kind, cls.reveals = kind, reveals
        return cls

    return declare


def pack(value: Message) -> bytes:
    """A message as bytes.

    Raises:
        Misuse: it is no declared message, or holds something that has no place on the wire.
    """
    if not isinstance(value, Message):
        raise Misuse(f"{type(value).__name__} is no message and may not leave this device")
    try:
        return msgspec.msgpack.encode(value, enc_hook=_plain)
    except (TypeError, OverflowError, BufferError, UnicodeEncodeError) as error:
        raise Misuse(f"{value.kind} holds what may not leave this device: {error}") from error


def unpack(cls: type[M], data: bytes | memoryview) -> M:
    """Build `cls` from what arrived, trusting nothing. Fields of type memoryview refer into `data`; nothing is copied.

    Raises:
        BadFrame: a field is missing, unknown, or of another type than declared.
    """
    try:
        return msgspec.msgpack.decode(data, type=cls, dec_hook=_typed)
    except (msgspec.DecodeError, RecursionError, IdentityError, BadInput, UnicodeDecodeError) as error:
        raise BadFrame(f"{cls.kind}: {error}") from error


def canonical(value: object) -> bytes:
    """A frozen dataclass of plain values as JSON: equal values give equal bytes.

    Raises:
        Misuse: it holds something that has no place in a plan.
    """
    try:
        msgspec.msgpack.encode(value, enc_hook=_plain)  # JSON has integers of any size, and arithmetic here has not
        return msgspec.json.encode(value, enc_hook=_plain, order="deterministic")
    except (TypeError, OverflowError, UnicodeEncodeError) as error:
        raise Misuse(f"{type(value).__name__} cannot be written down: {error}") from error


def from_canonical(cls: type[T], data: bytes) -> T:
    """The value back, which must have been written by `canonical`, byte for byte.

    Raises:
        BadFrame: it does not fit `cls`, has fields that `cls` lacks, or is written in another way.
    """
    try:
        value = msgspec.json.decode(data, type=cls, dec_hook=_typed)
    except (msgspec.DecodeError, RecursionError, IdentityError, BadInput, UnicodeDecodeError) as error:
        raise BadFrame(f"{getattr(cls, '__name__', cls)}: {error}") from error
    try:
        plain = canonical(value) == data
    except Misuse as error:  # such as a number that fits no field of ours
        raise BadFrame(f"{getattr(cls, '__name__', cls)}: {error}") from error
    if not plain:
        raise BadFrame(f"{getattr(cls, '__name__', cls)}: not in canonical form, or with unknown fields")
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, PeerId):
        return str(value)
    raise TypeError(f"{type(value).__name__} is neither plain data nor a message")


def _typed(kind: type, value: Any) -> Any:
    if kind is PeerId and isinstance(value, str):
        return PeerId.parse(value)
    raise BadFrame(f"{kind.__name__} has no form on the wire")
