"""What a lender says of its model decides what is computed, and nothing that is for whoever asks to say."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from mesh.blobs import BlobRef
from mesh.doors.borrowing import model_called
from mesh.errors import BadInput, PeerMisbehaved
from mesh.ids import PeerId
from mesh.protocol import Means
from mesh.store.catalogue import Manifest
from protocols.smpc.protocol import Private

ANN = PeerId.of_key(b"ann")


def inside(protocol: str = "private", **spec: Any) -> Any:
    """A node in sight of a lender that says these things."""

    async def describe(_name: str) -> Manifest:
        notes = {"modes": {"private": {"secret": "model"}}}
        return Manifest("digits", protocol, BlobRef.of(b""), (), (), (), {"program": 1, **spec}, notes).lent_by(ANN)

    browser = SimpleNamespace(describe=describe)
    return SimpleNamespace(
        node=SimpleNamespace(browser=browser), installed=SimpleNamespace(protocols=(Private(Means()),))
    )


async def test_a_lender_does_not_say_how_its_model_is_run() -> None:
    """The modes are those of the protocol that is installed here."""
    manifest = await model_called(inside(fraction=20), "digits@ann")
    assert {"private": {"secret": "both"}} == manifest.notes["modes"]
    assert {"program", "fraction", "lender", "model"} == set(manifest.spec)


@pytest.mark.parametrize("field", ["receiver", "secret", "name", "keep", "held", "abort", "weights", "patience"])
async def test_a_lender_decides_nothing_that_is_the_askers(field: str) -> None:
    """Above all not who is told the answers, or whether the input is secret."""
    with pytest.raises(PeerMisbehaved, match=field):
        await model_called(inside(**{field: 1}), "digits@ann")


async def test_what_runs_nowhere_here_is_a_sentence() -> None:
    """With the protocol that is lacking."""
    with pytest.raises(BadInput, match="'strange'"):
        await model_called(inside("strange"), "digits@ann")
