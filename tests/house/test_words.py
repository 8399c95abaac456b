"""Vocabularies: what may leave a device is declared, and says what it gives away."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from importlib.metadata import entry_points

import pytest

from mesh import control
from mesh.inbox import End
from mesh.membership import words as membership
from mesh.messages import Message
from mesh.protocol import Means, Protocol
from tests.house.source import PRODUCT

PROTOCOLS: dict[str, Protocol[object, object, object]] = {
    entry.name: entry.load()(Means()) for entry in entry_points(group="mesh.protocols")
}


def _all_words() -> Iterator[type[Message]]:
    for module in PRODUCT:
        if module.name.split(".")[0] == "protocols":
            importlib.import_module(module.name)
    waiting = list(Message.__subclasses__())
    while waiting:
        word = waiting.pop()
        waiting += word.__subclasses__()
        if word.__module__.split(".")[0] in ("mesh", "protocols"):
            yield word


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_word_is_named_after_its_protocol(name: str) -> None:
    """A word's kind begins with the protocol's name, and no two words share a kind."""
    kinds = [word.kind for word in PROTOCOLS[name].vocabulary]
    assert len(set(kinds)) == len(kinds)
    assert [] == [kind for kind in kinds if not kind.startswith(f"{name}.")]


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_protocol_states_what_it_promises(name: str) -> None:
    """`name`, `vocabulary` and `promises` are what `mesh explain` prints."""
    protocol = PROTOCOLS[name]
    assert name == protocol.name
    assert protocol.vocabulary
    assert protocol.promises
    assert [] == [promise for promise in protocol.promises if not promise.endswith(".")]


def test_every_message_is_in_a_vocabulary() -> None:
    """No message class is declared and then left out of what its protocol states."""
    stated = {word for protocol in PROTOCOLS.values() for word in protocol.vocabulary} | {
        *control.VOCABULARY,
        *membership.VOCABULARY,
        End,
    }
    assert set() == {word.__qualname__ for word in _all_words()} - {word.__qualname__ for word in stated}
    assert set() == set(_all_words()) - stated


def test_every_word_says_what_it_reveals() -> None:
    """In a phrase that goes on after "reveals"."""
    for word in _all_words():
        assert word.reveals.strip(), word
        assert not word.reveals.endswith("."), word
        assert not word.reveals[0].isupper(), word


def test_every_word_is_frozen_and_strict() -> None:
    """What was sent cannot be changed, and a field that nobody declared is refused."""
    for word in _all_words():
        assert word.__struct_config__.frozen, word
        assert word.__struct_config__.forbid_unknown_fields, word
