"""What CrypTen must not do over our channels: send pickles, or have a party make the triples. For the whole process.

CrypTen sends Python objects as pickles for three purposes. Shapes and files are told in other ways here (`loading`);
what is asked of a dealer is sent as plain words (`asking`); all else is refused.
"""

from __future__ import annotations

from typing import Any, NoReturn

import torch

from mesh.errors import BadInput, PeerMisbehaved
from protocols.smpc.crypten_bridge import asking
from protocols.smpc.crypten_bridge.dealers import provider_trouble
from protocols.smpc.crypten_bridge.loading import load_from_party
from protocols.smpc.crypten_bridge.names import crypten

__all__ = ["stand_guard"]

_ASKED_OF_THE_FIRST = ("generate_additive_triple", "square", "generate_binary_triple", "wrap_rng", "B2A_rng")
_LONGEST = 2**16  # bytes of what is asked of a dealer


def stand_guard() -> None:
    """From now on, in this process. Doing it again changes nothing."""
    communicator: Any = crypten.communicator.DistributedCommunicator
    communicator.broadcast_obj = _no_object
    communicator.send_obj = _send_words
    communicator.recv_obj = _receive_words
    crypten.load_from_party = load_from_party
    crypten.mpc.get_default_provider = _provider
    for name in _ASKED_OF_THE_FIRST:
        setattr(crypten.mpc.provider.TrustedFirstParty, name, _never)


def _provider() -> Any:
    """CrypTen asks at every product, so that a setting changed on the way is noticed."""
    trouble = provider_trouble(crypten.cfg.mpc.provider)
    if trouble:
        raise BadInput(trouble)
    return _THIRD_PARTY


_THIRD_PARTY = crypten.mpc.provider.TrustedThirdParty()


def _never(*_: Any, **__: Any) -> NoReturn:
    raise BadInput(provider_trouble("TFP"))


def _no_object(*_: Any, **__: Any) -> NoReturn:
    raise BadInput(
        "CrypTen would send a pickle here, and reading one can run any code: it is refused. Send tensors; give shapes "
        "with size= instead of broadcast_size=True."
    )


def _send_words(communicator: Any, thing: Any, dst: int, group: Any = None) -> None:
    """To and from a dealer only."""
    if group is None or group is not communicator.ttp_group:
        _no_object()
    words = asking.pack(thing)
    body = torch.frombuffer(bytearray(words), dtype=torch.uint8)
    torch.distributed.send(torch.tensor([len(words)]), dst, group=group)
    torch.distributed.send(body, dst, group=group)


def _receive_words(communicator: Any, src: int, group: Any = None) -> Any:
    if group is None or group is not communicator.ttp_group:
        _no_object()
    length = torch.zeros(1, dtype=torch.int64)
    torch.distributed.recv(length, src, group=group)
    if not 0 < int(length) <= _LONGEST:
        raise PeerMisbehaved(f"party {src}", f"It announced {int(length)} bytes where at most {_LONGEST} are expected.")
    body = torch.empty(int(length), dtype=torch.uint8)
    torch.distributed.recv(body, src, group=group)
    return asking.unpack(body.numpy().tobytes(), f"party {src}")
