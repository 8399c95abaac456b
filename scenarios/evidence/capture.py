"""Every packet on the loopback interface, straight from the kernel, with proof that none was missed.

Linux only: a packet socket with a ring of memory that the kernel fills (TPACKET_V3, <linux/if_packet.h>). Whoever may
not open one opens it as root of a network namespace of its own, where nothing else is heard either; see `alone`.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import select
import shutil
import socket
import struct
import sys
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from mesh.errors import ConfigError

__all__ = ["Capture", "alone"]

_SOL_PACKET, _RX_RING, _STATISTICS, _VERSION, _TPACKET_V3 = 263, 5, 6, 10, 2
_BLOCK, _BLOCKS, _PATIENCE = 2**21, 64, 20  # bytes, how many, milliseconds until a block that is not full is ours
_TO_KERNEL, _TO_USER = 0, 1
_IPV4, _IPV6 = 0x0800, 0x86DD  # of one protocol each: such sockets see what arrives, and not once more what leaves
_UP = struct.pack("16sh14x", b"lo", 0x1 | 0x40 | 0x1000)  # interface flags: up, running, multicast
_SIOCSIFFLAGS = 0x8914
_INSIDE = "EVIDENCE_ALONE"


def alone(module: str, arguments: Sequence[str]) -> None:
    """Go on as root of a network namespace in which there is nobody else; returns there. Replaces this process.

    Raises:
        ConfigError: this system lets nobody make one; says what it said.
    """
    if os.environ.get(_INSIDE):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            fcntl.ioctl(any_socket, _SIOCSIFFLAGS, _UP)
        return
    tool = shutil.which("unshare")
    if tool is None:
        raise ConfigError("`unshare` is missing: install util-linux.")
    # Into the same interpreter and its folder of packages, which -P would not find by itself.
    command = [tool, "--user", "--map-root-user", "--net", sys.executable, "-m", module, *arguments]
    os.execve(tool, command, {**os.environ, _INSIDE: "1"})  # noqa: S606 -- no shell is wanted


class Capture:
    """Use as a context: all that goes over loopback is kept until the end, and may be read then.

    Attributes:
        packets: as IP packets, in order of arrival.
        lost: how many the kernel had no room for.

    Raises:
        ConfigError: this process may not open packet sockets.
    """

    def __init__(self, interface: str = "lo") -> None:
        self.packets: list[bytes] = []
        self.lost = 0
        self._interface = interface
        self._rings: list[_Ring] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="capture")

    def __enter__(self) -> Self:
        try:
            self._rings = [_Ring(self._interface, kind) for kind in (_IPV4, _IPV6)]
        except OSError as error:
            raise ConfigError(f"Packets on {self._interface} cannot be heard: {error.strerror}.") from error
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        for ring in self._rings:
            self.lost += ring.close()

    def _listen(self) -> None:
        waiting = select.poll()
        for ring in self._rings:
            waiting.register(ring.socket, select.POLLIN)
        while not self._over.is_set():
            waiting.poll(50)
            self._take()
        waiting.poll(5 * _PATIENCE)  # until the kernel has given its last block away
        self._take()

    def _take(self) -> None:
        for ring in self._rings:
            self.packets += ring.take()


class _Ring:
    """One packet socket and its memory: blocks that go round between the kernel and us."""

    def __init__(self, interface: str, kind: int) -> None:
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(kind))
        try:
            self.socket.setsockopt(_SOL_PACKET, _VERSION, _TPACKET_V3)
            frame = 2**17  # longer than any packet; here it only has to divide a block
            wanted = struct.pack("7I", _BLOCK, _BLOCKS, frame, _BLOCK // frame * _BLOCKS, _PATIENCE, 0, 0)
            self.socket.setsockopt(_SOL_PACKET, _RX_RING, wanted)
            self._memory = mmap.mmap(self.socket.fileno(), _BLOCK * _BLOCKS)
            self.socket.bind((interface, kind))
        except BaseException:
            self.socket.close()
            raise
        self._next = 0

    def take(self) -> list[bytes]:
        """What has come since last time."""
        found: list[bytes] = []
        while self._status(self._next).value & _TO_USER:
            found += self._read(self._next * _BLOCK)
            self._status(self._next).value = _TO_KERNEL
            self._next = (self._next + 1) % _BLOCKS
        return found

    def close(self) -> int:
        """How many packets were lost."""
        told = self.socket.getsockopt(_SOL_PACKET, _STATISTICS, 12)
        self.socket.close()
        return int(struct.unpack("3I", told)[1])

    def _status(self, block: int) -> ctypes.c_uint32:
        return ctypes.c_uint32.from_buffer(self._memory, block * _BLOCK + 8)

    def _read(self, start: int) -> list[bytes]:
        count, first = struct.unpack_from("2I", self._memory, start + 12)
        found, at = [], start + first
        for _ in range(count):
            following, _, _, kept = struct.unpack_from("4I", self._memory, at)
            (network,) = struct.unpack_from("H", self._memory, at + 26)
            found.append(self._memory[at + network : at + network + kept])
            at += following
        return found
