"""One question to the node of this device, and its answer: HTTP over its Unix socket, without an HTTP library.

A library takes longer to import than a node takes to answer, and a command is to be there at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from mesh.doors.language import Fault, decode
from mesh.errors import IdentityError, NoNode

__all__ = ["knock", "node_errors"]


async def knock(
    control: Path, method: str, target: str, body: Iterable[bytes] = (), *, length: int = 0, patience: float = 30.0
) -> bytes:
    """The body of the answer.

    Args:
        control: the node's socket.
        target: path and query, as they go on the wire.
        body: pieces, `length` bytes together.
        patience: seconds, sending included.

    Raises:
        NoNode: no node answers there, or not in time.
        IdentityError: this user may not open the socket.
        MeshError: what the node says of the request.
    """
    with node_errors(control):
        async with asyncio.timeout(patience):
            reader, writer = await asyncio.open_unix_connection(control)
            try:
                return _content(control, await _exchange(reader, writer, _head(method, target, length), body))
            finally:
                writer.close()


@contextmanager
def node_errors(control: Path) -> Iterator[None]:
    """Turn what can go wrong with the socket into errors of ours."""
    try:
        yield
    except PermissionError as error:
        raise IdentityError(
            f"You may not open {control}: run this as the user whose node it is, or with `sudo`."
        ) from error
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError) as error:
        raise NoNode(
            f"No node answers at {control}: start one with `mesh up`, or name another with --state."
        ) from error
    except TimeoutError as error:
        raise NoNode(f"The node at {control} does not answer in time: is it busy, or stopped?") from error
    except OSError as error:
        raise NoNode(f"The node at {control} went away: {error.strerror or error}.") from error


def _head(method: str, target: str, length: int) -> bytes:
    return (
        f"{method} {target} HTTP/1.1\r\nHost: mesh\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    ).encode("ascii")


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes, body: Iterable[bytes]
) -> bytes:
    with suppress(ConnectionResetError, BrokenPipeError):  # refused before all was sent: the answer says why
        writer.write(head)
        for piece in body:
            writer.write(piece)
            await writer.drain()
        await writer.drain()
    return await reader.read()


def _content(control: Path, answer: bytes) -> bytes:
    head, gap, body = answer.partition(b"\r\n\r\n")
    status = head.split(b" ", 2)[1:2]
    if not gap or not head.startswith(b"HTTP/1.1 ") or not status:
        raise NoNode(f"What answers at {control} is no node, or it was stopped just now.")
    if status[0].startswith(b"2"):
        return body
    try:
        fault: Fault = decode(body, Fault)
    except msgspec.DecodeError:
        raise NoNode(f"What answers at {control} is no node of this version.") from None
    raise fault.raised()
