"""CrypTen at three parties in one process, a thread each. CrypTen's state is a process's; here each has its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from protocols.smpc.crypten_bridge.names import crypten
from protocols.smpc.crypten_bridge.session import become
from protocols.smpc.crypten_bridge.tensor import KIND, ReplicatedTensor
from protocols.smpc.replicated.checked.party import CheckedParty
from protocols.smpc.replicated.local import LocalLink, connect, run_together
from tests.unit.protocols.smpc.parties import party_on

__all__ = ["KIND", "ReplicatedTensor", "crypten", "gradients", "opened", "taking_part", "together"]

_MINE = threading.local()


class _Generators:
    """CrypTen's public generator, for each thread its own: masks of dropout are the same at all three."""

    def __getitem__(self, _device: object) -> Any:
        return _MINE.generator


def _split_up() -> None:
    state = property(lambda _: getattr(_MINE, "grad", True), lambda _, mode: setattr(_MINE, "grad", mode))
    type(crypten.CrypTensor).AUTOGRAD_ENABLED = state
    crypten.generators["global"] = _Generators()
    crypten.set_default_cryptensor_type(KIND)


_split_up()


def together(program: Callable[[], Any], *, timeout: float = 60.0, checked: bool = False) -> Any:
    """Run a script of CrypTen's at all three, and return what it gives at party 0, once all gave the same.

    `program` returns tensors of torch's, in any nesting of lists and tuples. `checked`: with abort.
    """

    def at(link: LocalLink) -> Any:
        taking_part(link, checked=checked)
        return program()

    results = run_together(connect(timeout=timeout), at)
    for other in results[1:]:
        for mine, theirs in zip(_tensors(results[0]), _tensors(other), strict=True):
            assert torch.equal(mine, theirs)
    return results[0]


def taking_part(link: LocalLink, *, checked: bool = False) -> None:
    """Make the thread that calls this the party of that link."""
    _MINE.generator = torch.Generator()
    _MINE.generator.manual_seed(3)
    party = party_on(link)
    become(CheckedParty(link, party.randomness, party.fixed) if checked else party)


def opened(function: Callable[..., Any], *values: Any, **settings: Any) -> Any:
    """What a function of secret tensors gives. Party 1 brings the values in."""

    def program() -> Any:
        return plain(function(*(crypten.cryptensor(value, src=1, **settings) for value in values)))

    return together(program)


def gradients(function: Callable[..., Any], weights: Any, *values: Any) -> Any:
    """The gradients of the sum of a function's result times `weights`, with respect to its arguments."""

    def program() -> Any:
        secret = [crypten.cryptensor(value, requires_grad=True) for value in values]
        (function(*secret) * crypten.cryptensor(weights)).sum().backward()
        return [one.grad.get_plain_text() for one in secret]

    return together(program)


def plain(result: Any) -> Any:
    if isinstance(result, tuple | list):
        return [plain(one) for one in result]
    return result.get_plain_text() if isinstance(result, crypten.CrypTensor) else result


def _tensors(result: Any) -> Iterator[Any]:
    if torch.is_tensor(result):
        yield result
    elif isinstance(result, Sequence) and not isinstance(result, str):
        for one in result:
            yield from _tensors(one)
