"""Who may make the random numbers that a computation uses up, and what each choice lets whom learn. Pure, and no torch.

CrypTen's `mpc` type multiplies with triples that somebody must make: whoever makes them knows every mask, and so can
read whatever is computed with them. Our `replicated3` type needs none.
"""

from __future__ import annotations

from collections.abc import Collection

__all__ = ["CHOICES", "dealer_trouble", "provider_trouble"]

CHOICES = (
    "With CrypTen's modules, kind replicated3 (three devices): the same engine, and the same holds. No one of the three"
    " learns anything; any two together learn everything. There is no dealer.",
    "With CrypTen's own type mpc (two devices or more) and provider TTP: computing devices that lack one of them learn"
    " nothing. The dealer, another device, sees how much is computed and when; together with any one computing"
    " device it learns everything.",
    "With type mpc, masks come from CrypTen's generator (Mersenne Twister with seeds of 64 bits), which is not made to"
    " withstand attack. Where that matters, use replicated3, whose masks are AES-128 in counter mode.",
    "With type mpc and provider TFP, CrypTen's default, the first computing device would make the triples, and so could"
    " read everything by itself. That is refused, whenever it is chosen.",
)
"""Sentences for `mesh explain private`."""

_WHY = {
    "TFP": "The provider TFP lets party 0 make the triples, and whoever makes them can read everything that is"
    " computed: it is refused.",
    "HE": "The provider HE is named in CrypTen 0.4.1 and not written.",
}
_CURE = (
    "Use the type replicated3, which needs none; or set crypten.cfg.mpc.provider to TTP before init(), and run"
    " `python -m protocols.smpc.crypten_bridge --deal` on one more device, which is no party."
)


def provider_trouble(provider: str) -> str | None:
    """Why triples cannot come from there, and what to do. None: they can."""
    if provider == "TTP":
        return None
    return f"{_WHY.get(provider, f'There is no provider {provider!r}.')} {_CURE}"


def dealer_trouble(dealer: object | None, parties: Collection[object]) -> str | None:
    """Why this device cannot make triples for these, and what to do. None: it can, or nobody does.

    Args:
        dealer: who makes them; None if nobody needs to. Compared with `parties`: both peers, or both owners.
    """
    if dealer is not None and dealer in parties:
        return f"{dealer} would compute and make the triples as well, and so could read everything. {_CURE}"
    return None
