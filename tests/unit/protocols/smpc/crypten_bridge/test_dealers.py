"""Who may make triples, and what `mesh explain private` says of it. Needs no torch."""

from __future__ import annotations

import subprocess
import sys

import pytest

from protocols.smpc.crypten_bridge.dealers import CHOICES, dealer_trouble, provider_trouble
from protocols.smpc.protocol import Private


@pytest.mark.parametrize("provider", ["TFP", "HE", "whoever"])
def test_no_party_provides_triples(provider: str) -> None:
    """The sentence names what was chosen, and both ways out."""
    trouble = provider_trouble(provider)
    assert trouble is not None
    assert provider in trouble
    assert "replicated3" in trouble
    assert "--deal" in trouble


def test_a_device_that_does_not_compute_may_provide_them() -> None:
    """TTP, with a dealer who is none of the parties."""
    assert provider_trouble("TTP") is None
    assert dealer_trouble("d", ("a", "b")) is None
    assert dealer_trouble(None, ("a", "b")) is None


def test_a_dealer_who_computes_is_refused() -> None:
    """For it could read everything."""
    assert "read everything" in (dealer_trouble("a", ("a", "b")) or "")


def test_explain_private_says_what_each_choice_lets_whom_learn() -> None:
    """Each kind, and each provider of triples."""
    assert set(CHOICES) <= set(Private.promises)
    said = " ".join(CHOICES)
    assert [] == [word for word in ("replicated3", "mpc", "TTP", "TFP", "dealer") if word not in said]


def test_what_explains_needs_no_torch() -> None:
    """A camera without torch can still be asked what it promises."""
    loaded = "import sys, protocols.smpc.promises; print({'torch', 'crypten'} & set(sys.modules))"
    said = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert "set()" == said.stdout.strip()
