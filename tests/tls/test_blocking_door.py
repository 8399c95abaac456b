"""Who is let in when parties meet, over real links: once, and for good."""

from __future__ import annotations

import itertools
import ssl
import threading
from collections.abc import Callable

import pytest

from mesh.authority import Authority
from mesh.transport import blocking_open
from mesh.transport.blocking import Links
from tests.tls.test_blocking import opened, together


@pytest.mark.parametrize("session", range(3))  # who calls first differs from one to the next
def test_the_last_to_be_let_in_stays_in(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, session: int
) -> None:
    """Those still at the door are turned away when all parties are there, but none of the parties is, however slow."""
    folder = tmp_path_factory.mktemp(f"mesh{session}")
    authority = Authority.create(folder / "authority", mesh="door")
    identities = [authority.issue(folder / str(number)) for number in range(3)]
    monkeypatch.setattr(blocking_open, "_prepare", slowly(blocking_open._prepare))
    links = opened(identities)

    def turn(mine: Links) -> bytes:
        into = bytearray(1)
        mine.exchange(mine.peers[(mine.rank + 1) % 3], bytes([mine.rank]), mine.peers[mine.rank - 1], into)
        return bytes(into)

    assert [b"\2", b"\0", b"\1"] == together(*(lambda one=one: turn(one) for one in links))
    for one in links:
        one.close()


def slowly(original: Callable[[ssl.SSLSocket], None]) -> Callable[[ssl.SSLSocket], None]:
    """Every second one is let in late, which leaves whoever is too quick the time to make his mistake."""
    late = itertools.cycle([False, True])

    def prepare(tls: ssl.SSLSocket) -> None:
        if tls.server_side:
            threading.Event().wait(0.3 * next(late))
        original(tls)

    return prepare
