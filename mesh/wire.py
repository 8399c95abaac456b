"""Frames to bytes and back. No sockets, no clock, no ML.

A frame on the wire, integers big-endian:

    4 bytes   magic "VEIL"
    1 byte    version
    1 byte    zero
    2 bytes   length of the header
    header    MessagePack: [scope, kind]
    the rest  the body: one message, see `mesh.messages`

The transport says where a frame ends; a frame says nothing of its own length that could contradict it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import msgspec

from mesh.errors import BadFrame, FrameTooLarge, Misuse

__all__ = ["FRAME_LIMIT", "Frame", "Limits", "decode", "encode"]

MAGIC = b"VEIL"
VERSION = 1
_HEAD = struct.Struct(">4sBxH")
_MAX_SCOPE = 16

FRAME_LIMIT = 64 * 2**20
"""Bytes of one frame at most, where nobody says otherwise."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a peer may make us hold."""

    frame: int = FRAME_LIMIT
    """Bytes of one frame, header included. Raising it lets one peer make us hold that much more."""

    call: int = 4 * 2**20
    """Bytes of one control request or its answer."""

    inbox: int = 256 * 2**20
    """Bytes that one peer may have lying unread in one session, frames not yet asked for."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message in transit: where it belongs, what it is, and its content, still packed."""

    scope: tuple[str, ...]
    kind: str
    body: bytes | memoryview = b""


class _Header(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    scope: tuple[str, ...]
    kind: str


def encode(frame: Frame) -> bytes:
    """The frame as bytes.

    Raises:
        Misuse: its scope is one that no receiver would take.
    """
    header = msgspec.msgpack.encode(_Header(frame.scope, frame.kind))
    if len(frame.scope) > _MAX_SCOPE or len(header) >= 2**16:
        raise Misuse(f"a scope of {len(frame.scope)} parts in a header of {len(header)} bytes; {_MAX_SCOPE} are taken")
    return b"".join((_HEAD.pack(MAGIC, VERSION, len(header)), header, frame.body))


def decode(data: bytes | memoryview, limit: int = FRAME_LIMIT) -> Frame:
    """The frame in `data`, which must hold exactly one. Its body refers into `data`; nothing is copied.

    Raises:
        FrameTooLarge: `data` is longer than `limit`.
        BadFrame: it is no frame of this version.
    """
    if len(data) > limit:
        raise FrameTooLarge(f"a frame of {len(data)} bytes; at most {limit} are taken")
    if len(data) < _HEAD.size:
        raise BadFrame(f"{len(data)} bytes are too few for a frame")
    magic, version, header = _HEAD.unpack_from(data)
    if magic != MAGIC:
        raise BadFrame("not a frame of this mesh")
    if version != VERSION:
        raise BadFrame(f"frame version {version}; this node speaks {VERSION}: update the older of the two")
    view, start = memoryview(data), _HEAD.size + header
    if start > len(data):
        raise BadFrame("the header is cut short")
    try:
        head = msgspec.msgpack.decode(view[_HEAD.size : start], type=_Header)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadFrame(f"header: {error}") from error
    if len(head.scope) > _MAX_SCOPE:
        raise BadFrame(f"a scope of {len(head.scope)} parts")
    return Frame(head.scope, head.kind, view[start:])
