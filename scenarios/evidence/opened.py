"""TLS 1.3 opened with the keys that its ends wrote down: what was said within. Pure.

Every record is authenticated under its number in the stream (RFC 8446, section 5.3), so a stream that opens to its end
is whole: a byte lost or changed on the way would show.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from scenarios.evidence.flows import Flow

__all__ = ["Keys", "Opened", "opened"]

_HANDSHAKE, _DATA = 22, 23
_CLIENT_HELLO, _SERVER_HELLO, _KEY_UPDATE = 1, 2, 24
_SUITES: dict[int, tuple[type[AESGCM | ChaCha20Poly1305], int, type[hashes.SHA256 | hashes.SHA384]]] = {
    0x1301: (AESGCM, 16, hashes.SHA256),
    0x1302: (AESGCM, 32, hashes.SHA384),
    0x1303: (ChaCha20Poly1305, 32, hashes.SHA256),
}
"""Cipher, bytes of its key, and hash, by the number of the cipher suite."""


class Keys:
    """Traffic secrets by the client's random of their connection, as one end wrote them down."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._secrets = {
            (words[1], words[0]): bytes.fromhex(words[2]) for line in lines if len(words := line.split()) == 3
        }

    @classmethod
    def read(cls, path: Path) -> Keys:
        """Those of a file; none if there is no such file."""
        return cls(path.read_text().splitlines() if path.exists() else ())

    def __contains__(self, random: str) -> bool:
        return (random, "CLIENT_TRAFFIC_SECRET_0") in self._secrets

    def of(self, random: str, side: str) -> tuple[bytes, bytes]:
        """Secrets of one side's handshake and of its data: `side` is CLIENT or SERVER."""
        return self._secrets[random, f"{side}_HANDSHAKE_TRAFFIC_SECRET"], self._secrets[
            random, f"{side}_TRAFFIC_SECRET_0"
        ]


@dataclass(frozen=True, slots=True)
class Opened:
    """One connection in clear.

    Attributes:
        client, server: who they are, as far as their keys tell.
        said, answered: by the client and by the server, handshakes left out.
    """

    client: str
    server: str
    said: bytes
    answered: bytes


def opened(flow: Flow, clients: Mapping[str, Keys], servers: Mapping[str, Keys]) -> Opened | None:
    """A flow with the keys of whoever has them; None if it is not TLS, never got as far as data, or nobody has any.

    Args:
        clients, servers: by device, what its processes wrote down as clients and as servers.

    Raises:
        ValueError: a record does not open where it should: the capture is not whole.
    """
    said, answered = list(_records(flow.said)), list(_records(flow.answered))
    if not said or not answered or said[0][5:6] != bytes([_CLIENT_HELLO]):
        return None
    random = said[0][11:43].hex()
    client = next((name for name, keys in clients.items() if random in keys), None)
    server = next((name for name, keys in servers.items() if random in keys), None)
    if client is None or server is None:
        return None
    keys, suite = clients[client], _suite(answered)
    halves = zip((said, answered), ("CLIENT", "SERVER"), strict=True)
    return Opened(client, server, *(_data(half, keys.of(random, side), suite) for half, side in halves))


def _records(stream: bytes) -> Iterator[bytes]:
    at = 0
    while at + 5 <= len(stream):
        end = at + 5 + int.from_bytes(stream[at + 3 : at + 5])
        if end > len(stream):
            return  # cut off while under way
        yield stream[at:end]
        at = end


def _suite(answered: list[bytes]) -> int:
    for record in answered:
        if record[0] == _HANDSHAKE and record[5] == _SERVER_HELLO:
            session = record[43]
            return int.from_bytes(record[44 + session : 46 + session])
    raise ValueError("a server without a hello")


def _data(records: list[bytes], secrets: tuple[bytes, bytes], suite: int) -> bytes:
    """Handshake records come first under the first secret; the first that it does not open is the first of data."""
    found, waiting = bytearray(), list(secrets[1:])
    lock = _Lock(secrets[0], suite)
    for record in records:
        if record[0] != _DATA:
            continue  # hellos, and the records that only pretend to be TLS 1.2
        try:
            kind, inner = lock.open(record)
        except InvalidTag as error:
            if not waiting:
                raise ValueError(f"record {lock.number} of {len(records)} does not open") from error
            lock = _Lock(waiting.pop(), suite)
            kind, inner = lock.open(record)
        if kind == _DATA:
            found += inner
        elif kind == _HANDSHAKE and inner[:1] == bytes([_KEY_UPDATE]):
            lock = lock.following()
    return bytes(found)


class _Lock:
    """The keys of one side, from one secret on."""

    def __init__(self, secret: bytes, suite: int) -> None:
        self.number = 0
        self._secret, self._suite = secret, suite
        cipher, length, self._hash = _SUITES[suite]
        self._cipher = cipher(self._expand(b"key", length))
        self._start = int.from_bytes(self._expand(b"iv", 12))

    def open(self, record: bytes) -> tuple[int, bytes]:
        """Kind and content. Raises InvalidTag."""
        nonce = (self._start ^ self.number).to_bytes(12)
        inner = self._cipher.decrypt(nonce, record[5:], record[:5]).rstrip(b"\0")
        self.number += 1
        return inner[-1], inner[:-1]

    def following(self) -> _Lock:
        """After a key update."""
        return _Lock(self._expand(b"traffic upd", self._hash.digest_size), self._suite)

    def _expand(self, label: bytes, length: int) -> bytes:
        name = b"tls13 " + label
        info = length.to_bytes(2) + bytes([len(name)]) + name + b"\0"
        return HKDFExpand(self._hash(), length, info).derive(self._secret)
