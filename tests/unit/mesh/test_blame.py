"""Whom to leave out, and for how long."""

from __future__ import annotations

import pytest

from mesh.blame import BELIEVED, LOST, MISBEHAVED, Blame
from mesh.errors import (
    BadInput,
    MeshError,
    NoPlan,
    PeerDeclined,
    PeerLost,
    PeerMisbehaved,
    PeerUnreachable,
    SessionError,
)
from mesh.ids import PeerId

A, B, C = (PeerId.of_key(name) for name in (b"a", b"b", b"c"))


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (PeerLost(A, "x"), LOST),
        (PeerUnreachable(A, "x"), LOST),
        (PeerMisbehaved(A, "x"), MISBEHAVED),
        (PeerDeclined(A, "x"), 0),
        (NoPlan("x"), 0),
        (SessionError("x"), 0),
        (BadInput("x"), 0),
    ],
)
def test_who_is_blamed_and_for_how_long(error: MeshError, seconds: float) -> None:
    """The peer that the error names, for as long as it deserves; nobody for what is nobody's fault."""
    blame = Blame()
    assert (A if seconds else None) == blame.note(error, 100.0)
    assert ({A} if seconds else set()) == blame.avoided(100.0)
    assert ({A} if seconds else set()) == blame.avoided(100.0 + seconds - 0.001)
    assert set() == blame.avoided(100.0 + seconds)


def test_it_doubles_each_time_up_to_a_limit() -> None:
    """5, 10, 20 seconds and so on, and five minutes at most."""
    blame, now, spans = Blame(), 0.0, []
    for _ in range(8):
        blame.note(PeerLost(A, "x"), now)
        span = next(span for span in range(1, 400) if A not in blame.avoided(now + span))
        spans.append(span)
        now += span
    assert [5, 10, 20, 40, 80, 160, 300, 300] == spans


def test_ten_thousand_losses_are_no_worse_than_ten() -> None:
    """The doubling never leaves what a number can hold."""
    blame = Blame()
    for now in range(10_000):
        blame.note(PeerLost(A, "x"), float(now))
    assert A not in blame.avoided(10_000 + MISBEHAVED)


def test_old_losses_are_forgotten() -> None:
    """After five good minutes it begins again at five seconds."""
    blame = Blame()
    for _ in range(4):
        blame.note(PeerLost(A, "x"), 0.0)
    later = 40.0 + MISBEHAVED + 1
    blame.note(PeerLost(A, "x"), later)
    assert A not in blame.avoided(later + LOST)


def test_a_light_mark_does_not_wipe_out_a_grave_one() -> None:
    """A peer that broke the rules cannot shorten its time by being lost as well, nor be taken back early."""
    blame = Blame()
    blame.note(PeerMisbehaved(A, "x"), 0.0)
    blame.note(PeerLost(A, "x"), 1.0)
    assert {A} == blame.avoided(MISBEHAVED - 1)
    assert not blame.relent(2.0)


def test_better_a_shaky_peer_than_none() -> None:
    """Those who were merely lost are taken back; those who broke the rules are not."""
    blame = Blame()
    blame.note(PeerLost(A, "x"), 0.0)
    blame.note(PeerMisbehaved(B, "x"), 0.0)
    assert blame.relent(1.0)
    assert {B} == blame.avoided(1.0)
    assert not blame.relent(1.0)


def test_hearsay_is_believed_a_few_times() -> None:
    """Whoever has one more tale of others each time is left out along with whom it names."""
    blame = Blame()
    for tale in range(BELIEVED):
        blame.note(PeerLost(A, "gone", witness=C), float(tale))
    assert {A} == blame.avoided(3.0)
    blame.note(PeerLost(B, "gone", witness=C), 4.0)
    assert {A, B, C} == blame.avoided(4.0)


def test_tales_told_long_ago_do_not_count() -> None:
    """An honest peer in a bad neighbourhood is not worn out by the years."""
    blame = Blame()
    for tale in range(20):
        blame.note(PeerLost(A, "gone", witness=C), tale * (MISBEHAVED + 1))
    assert C not in blame.avoided(19 * (MISBEHAVED + 1))
