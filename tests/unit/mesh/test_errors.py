"""Errors name whose fault they are, and say it in words that are safe to show."""

from __future__ import annotations

import inspect

import pytest

from mesh import errors
from mesh.errors import (
    BadFrame,
    Busy,
    DeadlinePassed,
    MeshError,
    PeerDeclined,
    PeerError,
    PeerLost,
    PeerMisbehaved,
    first_error,
    one_line,
)

CLASSES = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, MeshError)]


def test_every_error_is_in_the_tree_and_offered() -> None:
    """The tree at the head of the file names every class, and `__all__` offers it."""
    for cls in CLASSES:
        assert cls.__name__ in (errors.__doc__ or "")
        assert cls.__name__ in errors.__all__


def test_only_what_may_pass_is_worth_a_retry() -> None:
    """What is lost, late or busy may succeed next time; what is wrong stays wrong."""
    worth = {cls.__name__ for cls in CLASSES if cls.retry}
    assert {"Busy", "DeadlinePassed", "NoNode", "PeerLost", "PeerUnreachable", "QuorumLost"} == worth


def test_a_peer_error_names_the_peer_and_the_reason() -> None:
    """Short in its text, whole in its attributes."""
    error = PeerLost("abcdefghijk", "gone", witness="xyz")
    assert ("abcdefghijk", "gone", "xyz") == (error.peer, error.reason, error.witness)
    assert "abcdefg: gone" == str(error)


@pytest.mark.parametrize("text", ["a\nb", "\x1b[31mred", "x\u202ey", "a\0b", "line\u2028line"])
def test_a_peers_words_cannot_move_the_cursor(text: str) -> None:
    """No escape sequence, line break or change of direction gets through."""
    assert one_line(text).isprintable()
    assert PeerDeclined("p" * 52, text).reason.isprintable()


def test_a_peers_words_are_cut_short() -> None:
    """A reason of a megabyte does not end up in every log of the mesh."""
    assert 401 == len(one_line("x" * 2**20))
    assert "short" == one_line("short")


def test_misbehaviour_is_named_before_loss() -> None:
    """The loss is often our own answer to it."""
    group = ExceptionGroup("", [PeerLost("a", "x"), ExceptionGroup("", [PeerMisbehaved("b", "y")])])
    found = first_error(group)
    assert isinstance(found, PeerError)
    assert "b" == found.peer


def test_the_first_of_equals_is_named() -> None:
    """Order decides where nothing else does."""
    first = BadFrame("one")
    assert first is first_error(ExceptionGroup("", [first, DeadlinePassed("two")]))


def test_a_bug_is_not_dressed_up() -> None:
    """An error that is none of ours comes out as it is."""
    with pytest.raises(ZeroDivisionError):
        first_error(ExceptionGroup("", [PeerLost("a", "x"), ZeroDivisionError()]))


def test_busy_says_when_to_come_back() -> None:
    """In seconds."""
    assert 2.5 == Busy("full", after=2.5).after
