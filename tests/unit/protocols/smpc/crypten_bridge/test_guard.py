"""What CrypTen must not do over our channels: pickles, and triples made by a party."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import torch

from mesh.errors import BadInput, ConfigError, PeerMisbehaved
from protocols.smpc.crypten_bridge import guard, start
from protocols.smpc.crypten_bridge.asking import pack, unpack
from protocols.smpc.crypten_bridge.guard import stand_guard
from protocols.smpc.replicated.local import connect, run_together
from tests.unit.protocols.smpc.crypten_bridge.together import crypten


@pytest.fixture
def guarded(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """CrypTen under guard, and as it was afterwards."""
    communicator = crypten.communicator.DistributedCommunicator
    for name in ("broadcast_obj", "send_obj", "recv_obj"):
        monkeypatch.setattr(communicator, name, getattr(communicator, name))
    monkeypatch.setattr(crypten, "load_from_party", crypten.load_from_party)
    monkeypatch.setattr(crypten.mpc, "get_default_provider", crypten.mpc.get_default_provider)
    first = crypten.mpc.provider.TrustedFirstParty
    for name in guard._ASKED_OF_THE_FIRST:
        monkeypatch.setattr(first, name, getattr(first, name))
    stand_guard()
    with crypten.cfg.temp_override({}):
        yield communicator


@pytest.mark.parametrize(
    ("name", "arguments"), [("broadcast_obj", ({"any": "thing"}, 0)), ("send_obj", ([1], 1)), ("recv_obj", (0,))]
)
def test_objects_are_not_sent(guarded: Any, name: str, arguments: tuple[Any, ...]) -> None:
    """Every one of CrypTen's ways says why, and what to do."""
    with pytest.raises(BadInput, match="pickle"):
        getattr(guarded, name)(object(), *arguments)


def test_a_provider_set_on_the_way_is_refused_at_the_next_product(guarded: Any) -> None:
    """CrypTen's setting may change at any time; TFP never makes a triple, asked directly or by its name."""
    crypten.cfg.mpc.provider = "TTP"
    assert "TTP" == crypten.mpc.get_default_provider().NAME
    crypten.cfg.mpc.provider = "TFP"
    with pytest.raises(BadInput, match="TFP"):
        crypten.mpc.get_default_provider()
    for name in guard._ASKED_OF_THE_FIRST:
        with pytest.raises(BadInput, match="party 0"):
            getattr(crypten.mpc.provider.TrustedFirstParty(), name)((2,), (2,), "mul")


def test_the_mpc_type_does_not_begin_with_a_dealer_who_computes() -> None:
    """Refused before anybody is met."""
    with crypten.cfg.temp_override({"mpc.provider": "TFP"}), pytest.raises(ConfigError, match="TFP"):
        start.init(kind="mpc")


def test_init_says_what_it_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    """No place to meet, and settings that it does not have."""
    monkeypatch.delenv("RENDEZVOUS", raising=False)
    with pytest.raises(ConfigError, match="RENDEZVOUS"):
        start.init()
    with pytest.raises(ConfigError, match="fraction"):
        start.init(colour="red")


ASKED = [
    {"function": "additive", "device": None, "args": (torch.Size([2, 3]), torch.Size([3]), "mul"), "kwargs": {}},
    {
        "function": "additive",
        "device": "cpu",
        "args": (torch.Size([1, 2, 8, 8]), torch.Size([4, 2, 3, 3]), "conv2d"),
        "kwargs": {"stride": (2, 2), "groups": 1},
    },
    {"function": "wraps", "device": None, "args": (torch.Size([]),), "kwargs": {}},
]


@pytest.mark.parametrize("asked", ASKED)
def test_what_a_dealer_is_asked_arrives(asked: dict[str, Any]) -> None:
    """Function, sizes, operation and layout."""
    got = unpack(pack(asked), "a")
    assert (asked["function"], tuple(asked["args"]), asked["kwargs"]) == (
        got["function"],
        tuple(got["args"]),
        got["kwargs"],
    )


def test_sizes_and_the_end_arrive() -> None:
    """What a dealer answers, and what ends it."""
    assert torch.Size([3, 1]) == unpack(pack(torch.Size([3, 1])), "a")
    assert "terminate" == unpack(pack("terminate"), "a")


@pytest.mark.parametrize(
    "thing", [{"function": "__init__", "device": None, "args": (), "kwargs": {}}, [1], {"function": "square"}], ids=str
)
def test_nothing_else_is_asked(thing: Any) -> None:
    """Neither sent by us nor obeyed when somebody sends it."""
    with pytest.raises((BadInput, PeerMisbehaved)):
        unpack(pack(thing), "a")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff" * 9,
        b"\x80\x04\x95\r\x00\x00\x00\x00\x00\x00\x00\x8c\tterminate\x94.",
        msgspec.msgpack.encode({"type": "over", "more": 1}),
    ],
    ids=["nothing", "noise", "a pickle", "more than there is"],
)
def test_what_is_malformed_is_blamed_on_its_sender(data: bytes) -> None:
    """By name."""
    with pytest.raises(PeerMisbehaved, match="party 2"):
        unpack(data, "party 2")


def test_pairs_agree_on_keys_that_no_third_has() -> None:
    """Each pair holds the same key, and all keys differ."""
    keys = run_together(connect(timeout=5), start.agreed_keys)
    assert keys[0][1] == keys[1][0]
    assert keys[0][2] == keys[2][0]
    assert keys[1][2] == keys[2][1]
    assert 3 == len({keys[0][1], keys[0][2], keys[1][2]})
