"""What every tensor of ours is: shares behind CrypTen's interface, made from somebody's numbers and opened again."""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np
import torch

from mesh.errors import BadInput, Misuse
from protocols.smpc.crypten_bridge.names import crypten
from protocols.smpc.crypten_bridge.pair import Pair
from protocols.smpc.crypten_bridge.public import addend, is_public, numbers_of
from protocols.smpc.crypten_bridge.session import myself
from protocols.smpc.replicated.link import PARTIES, Words
from protocols.smpc.replicated.opening import reveal, share
from protocols.smpc.replicated.party import Party
from protocols.smpc.replicated.sharing import Secret

__all__ = ["KIND", "CrypTensor", "Shared"]

KIND = "replicated3"
"""What the type is called: `crypten.cryptensor(x, cryptensor_type=KIND)`. CrypTen has a protocol named `replicated`."""

_MOST_AXES = 15
_AT_ONCE = 2**12  # values that a channel takes even while nobody reads: all three may send at once
_SETTINGS = {"precision", "device", "ptype", "requires_grad"}

CrypTensor: Any = crypten.CrypTensor


class Shared(CrypTensor):  # type: ignore[misc]  # CrypTen is not annotated
    """Shares of an array of numbers, which one party brings in.

    Args:
        tensor: the numbers, at party `src`: a tensor, an array, a list or a number. What the others give says the shape
            only, and may be zeros.
        src: whose they are, 0 to 2.
        size: the shape, where the others have no tensor to show.
        broadcast_size: let `src` tell the others the shape; it is no secret.
        settings: `requires_grad`, and CrypTen's others: `precision` None, or 0 for integers; `device` the processor;
            `ptype` arithmetic.

    Raises:
        BadInput: numbers that are not finite or too large for the number format; another device or kind of sharing.
        Misuse: no session was begun, or no such party.
    """

    _tensor: Pair

    def __init__(
        self, tensor: Any = None, *, src: int = 0, size: Any = None, broadcast_size: bool = False, **settings: Any
    ) -> None:
        grown = tensor.requires_grad if torch.is_tensor(tensor) else False
        super().__init__(requires_grad=settings.get("requires_grad", grown))
        integers = _checked(settings)
        nothing = isinstance(tensor, list) and not tensor
        if nothing and not broadcast_size:  # CrypTen makes such to call what belongs to no tensor
            self._tensor = Pair(torch.empty(0, dtype=torch.int64), torch.empty(0, dtype=torch.int64), 0)
            return
        party = myself()
        if src not in range(PARTIES):
            raise Misuse(f"There is no party {src}: src= is 0 to {PARTIES - 1}.")
        numbers = None if tensor is None or nothing else numbers_of(tensor)
        shape = tuple(size) if numbers is None and size is not None else None if numbers is None else numbers.shape
        shape = _told(party, src, shape) if broadcast_size else shape
        if shape is None or (numbers is None and party.rank == src):
            raise Misuse("Give a tensor; those who only take part give one of its shape, or size=.")
        fraction = 0 if integers else party.fixed.fraction
        words = None
        if numbers is not None and party.rank == src:
            words = party.fixed.encode(numbers, fraction=fraction).reshape(-1)
        self._tensor = Pair.of(share(party, src, words, (math.prod(shape),)).reshape(*shape), fraction)

    @classmethod
    def new(cls, tensor: Any, **settings: Any) -> Self:
        """Of numbers that all three have: no message. With `src`, of that party's."""
        if "src" in settings or settings.get("broadcast_size") or (isinstance(tensor, list) and not tensor):
            return cls(tensor, **settings)
        integers = _checked(settings)
        party = myself()
        words, fraction = addend(tensor, party.fixed, 0 if integers else party.fixed.fraction)
        made = cls.around(Pair.of(party.public(words), fraction))
        made.requires_grad = settings.get("requires_grad", False)
        return made

    @classmethod
    def around(cls, pair: Pair) -> Self:
        """A tensor of these shares, which are not copied."""
        made: Self = object.__new__(cls)
        CrypTensor.__init__(made)
        made._tensor = pair
        return made

    @classmethod
    def from_shares(cls, share: Any, precision: int | None = None, **_: Any) -> Self:
        """What `share` of a tensor gave at each party. `precision`: 0 if those were integers."""
        if share.dtype != torch.int64 or share.dim() < 1 or len(share) != 2:
            raise BadInput(f"A party holds two shares of 64-bit integers, not {tuple(share.shape)} of {share.dtype}.")
        return cls.around(Pair(share[0].clone(), share[1].clone(), 0 if precision == 0 else _fraction()))

    @property
    def share(self) -> Any:
        """This party's two shares, as one int64 tensor (2, *shape): what a checkpoint holds."""
        return torch.stack([self._tensor.first, self._tensor.second])

    @share.setter
    def share(self, value: Any) -> None:
        self._tensor = Pair(value[0], value[1], self._tensor.fraction)

    @property
    def ptype(self) -> Any:
        return crypten.mpc.arithmetic

    @property
    def data(self) -> Any:
        """A stand-in of our shape, for code that asks for shapes. It holds no share, and writing to it changes none."""
        return torch.zeros(()).expand(self._tensor.shape)

    @property
    def device(self) -> Any:
        return torch.device("cpu")

    def get_plain_text(self, dst: int | None = None) -> Any:
        """The numbers, in single precision, at every party or at `dst` alone; None at the others."""
        words = self._opened(dst)
        if words is None:
            return None
        numbers = np.asarray(myself().fixed.decode(words, fraction=self._tensor.fraction))
        return torch.from_numpy(numbers).float()

    def reveal(self, dst: int | None = None) -> Any:
        """The ring elements behind the numbers, as int64, at every party or at `dst` alone; None at the others."""
        words = self._opened(dst)
        return None if words is None else torch.from_numpy(np.asarray(words.view(np.int64)))

    def clone(self) -> Self:
        return self.around(self._tensor.clone())

    def shallow_copy(self) -> Self:
        return self.around(self._tensor)

    def copy_(self, other: Shared) -> Self:
        """Take over another tensor's values."""
        if not isinstance(other, Shared):
            raise Misuse(f"Only secret values can be copied into a secret tensor, not {type(other).__name__}.")
        self._tensor.write(other._tensor)
        return self

    def set(self, enc_tensor: Any) -> Self:
        """Take over another tensor's values, or party 0's numbers: initializers draw others at every party."""
        return self.copy_(enc_tensor if isinstance(enc_tensor, Shared) else type(self)(enc_tensor))

    def to(self, *args: Any, **settings: Any) -> Self:
        """Stay: there is one device and one kind of sharing. Raises BadInput: another was asked for."""
        for one in (*args, *settings.values()):
            _checked({"ptype" if hasattr(one, "to_tensor") else "device": one})
        return self

    def cpu(self) -> Self:
        return self

    def cuda(self, *_: Any, **__: Any) -> Self:
        raise BadInput("Shares are computed on the processor: leave out .cuda().")

    def __repr__(self) -> str:
        return f"{type(self).__name__}(shape={tuple(self._tensor.shape)}, HIDDEN)"

    def _opened(self, dst: int | None) -> Words | None:
        party = myself()
        if self._tensor.first.numel() == 0:
            return np.zeros(tuple(self._tensor.shape), np.uint64)
        secret = self._tensor.secret()
        if dst is not None or secret.size <= _AT_ONCE:
            return reveal(party, secret, range(PARTIES) if dst is None else (dst,))
        found = [reveal(party, secret, (receiver,)) for receiver in range(PARTIES)]  # so that somebody always reads
        return found[party.rank]

    def _fine(self) -> Secret:
        """Our shares with the number format's fractional bits."""
        return self._tensor.at(_fraction()).secret()

    def _made(self, secret: Secret, fraction: int | None = None, *apart: Pair) -> Self:
        """A result of the engine's. `apart`: shares that it may be a view of."""
        return self.around(Pair.of(secret, _fraction() if fraction is None else fraction, *apart))

    def _pair(self, value: Any) -> Pair:
        """Another operand as shares: a tensor of ours, or what everybody knows."""
        if isinstance(value, Shared):
            return value._tensor
        if not is_public(value):
            raise Misuse(f"A secret tensor cannot be combined with {type(value).__name__}.")
        party = myself()
        words, fraction = addend(value, party.fixed, party.fixed.fraction)
        return Pair.of(party.public(words), fraction)


def _fraction() -> int:
    return myself().fixed.fraction


def _checked(settings: dict[str, Any]) -> bool:
    """Whether integers are asked for. Raises BadInput: something that we do not have."""
    if unknown := settings.keys() - _SETTINGS:
        raise BadInput(f"A secret tensor has no {', '.join(sorted(unknown))}.")
    ptype, precision = settings.get("ptype"), settings.get("precision")
    if ptype is not None and ptype != crypten.mpc.arithmetic:
        raise BadInput(f"{ptype} is a sharing of CrypTen's own mpc type; ours is arithmetic.")
    if settings.get("device") is not None and torch.device(settings["device"]).type != "cpu":
        raise BadInput(f"Shares are computed on the processor, not on {settings['device']}.")
    if precision not in (None, 0) and precision != _fraction():
        raise BadInput(f"Numbers of this session have {_fraction()} fractional bits: give precision=None, or 0.")
    return precision == 0


def _told(party: Party, src: int, shape: tuple[int, ...] | None) -> tuple[int, ...]:
    """The shape, from the one that knows it."""
    words: Words = np.zeros(_MOST_AXES + 1, np.uint64)
    if party.rank != src:
        party.link.exchange(src, (), src, [words])
    elif shape is None or len(shape) > _MOST_AXES:
        raise Misuse(f"Party {src} must give a tensor, of at most {_MOST_AXES} axes, to tell its shape.")
    else:
        words[: len(shape) + 1] = (len(shape), *shape)
        for other in set(range(PARTIES)) - {src}:
            party.link.exchange(other, [words], other, ())
    return tuple(int(length) for length in words[1 : min(int(words[0]), _MOST_AXES) + 1])
