"""Who is let in when parties meet, over real links: once, and for good."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable

import pytest

from mesh.authority import Authority
from mesh.transport import blocking_open
from mesh.transport.blocking import Links
from tests.tls.test_blocking import opened, together


def test_the_last_to_be_let_in_stays_in(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those still at the door are turned away when all parties are there, but none of the parties is, however slow."""
    folder = tmp_path_factory.mktemp("mesh")
    authority = Authority.create(folder / "authority", mesh="door")
    identities = [authority.issue(folder / str(number)) for number in range(2)]
    monkeypatch.setattr(blocking_open, "_prepare", slowly(blocking_open._prepare))
    links = opened(identities)

    def swap(mine: Links) -> bytes:
        peer, into = mine.peers[1 - mine.rank], bytearray(1)
        mine.exchange(peer, bytes([mine.rank]), peer, into)
        return bytes(into)

    assert [b"\1", b"\0"] == together(*(lambda one=one: swap(one) for one in links))
    for one in links:
        one.close()


def slowly(original: Callable[[ssl.SSLSocket], None]) -> Callable[[ssl.SSLSocket], None]:
    """Leaves whoever is too quick the time to make his mistake."""

    def prepare(tls: ssl.SSLSocket) -> None:
        threading.Event().wait(0.2)
        original(tls)

    return prepare
