"""Secret tensors against torch, operation by operation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn import functional

from mesh.errors import BadInput, Misuse
from protocols.smpc.crypten_bridge.session import myself
from tests.unit.protocols.smpc.crypten_bridge.together import KIND, ReplicatedTensor, crypten, opened, together

UNIT = 2.0**-18
Function = Callable[..., Any]


def values(*shape: int, seed: int = 0, scale: float = 3.0) -> Any:
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


X, Y, POSITIVE = values(4, 5), values(4, 5, seed=1), values(4, 5, seed=2).abs() + 0.1
PLANES, KERNELS = values(2, 4, 9, 8, scale=1.0), values(6, 2, 3, 3, scale=1.0)


def same(expected: Any, got: Any, *, within: float = 0.0, of_itself: float = 0.0) -> None:
    assert expected.shape == got.shape
    assert bool(((expected - got).abs() <= within + of_itself * expected.abs() + 1e-6 * expected.abs()).all()), (
        (expected - got).abs().max()
    )


def numbers(expected: Any) -> Any:
    return [one.float() for one in expected] if isinstance(expected, tuple | list) else expected.float()


EXACT: dict[str, tuple[Function, tuple[Any, ...]]] = {
    "add": (lambda a, b: a + b, (X, Y)),
    "add to rows": (lambda a, b: a + b, (X, Y[0])),
    "add a public tensor that is larger": (lambda a: a + torch.ones(2, 4, 5), (X,)),
    "subtract": (lambda a, b: a - b, (X, Y)),
    "subtract from a number": (lambda a: 2 - a, (X,)),
    "negate": (lambda a: -a, (X,)),
    "times an integer": (lambda a: a * 3, (X,)),
    "transpose": (lambda a: a.t(), (X,)),
    "permute": (lambda a: a.permute(2, 0, 3, 1), (PLANES,)),
    "reshape": (lambda a: a.reshape(2, -1), (X,)),
    "flatten": (lambda a: a.flatten(1), (PLANES,)),
    "squeeze": (lambda a: a.unsqueeze(1).squeeze(1), (X,)),
    "index": (lambda a: a[1:3, 2], (X,)),
    "narrow": (lambda a: a.narrow(1, 1, 3), (X,)),
    "select rows": (lambda a: a.index_select(0, torch.tensor([2, 0, 2])), (X,)),
    "gather": (lambda a: a.gather(1, torch.tensor([[0, 4], [1, 1], [2, 3], [4, 0]])), (X,)),
    "scatter": (lambda a, b: a.scatter(1, torch.tensor([[0], [1], [2], [4]]), b), (X, Y[:, :1])),
    "add at rows": (lambda a, b: a.index_add(0, torch.tensor([1, 1]), b), (X, Y[:2])),
    "roll": (lambda a: a.roll(2, 1), (X,)),
    "flip": (lambda a: a.flip([0]), (X,)),
    "repeat": (lambda a: a.repeat(2, 3), (X,)),
    "cumulate": (lambda a: a.cumsum(1), (X,)),
    "sum": (lambda a: a.sum(1, keepdim=True), (X,)),
    "trace": (lambda a: a.trace(), (X,)),
    "relu": (lambda a: a.relu(), (X,)),
    "abs": (lambda a: a.abs(), (X,)),
    "largest": (lambda a: a.max(), (X,)),
    "largest of rows": (lambda a: a.max(1, keepdim=True)[0], (X,)),
    "least of columns": (lambda a: a.min(0)[0], (X,)),
    "where it is largest": (lambda a: a.argmax(1), (X,)),
    "less": (lambda a, b: (a < b) * 1.0, (X, Y)),
    "at least": (lambda a: (a >= 1.0) * 1.0, (X,)),
    "equal": (lambda a: (a == 2.0) * 1.0, (torch.tensor([1.0, 2.0, 2.5]),)),
    "unequal": (lambda a: (a != 2.0) * 1.0, (torch.tensor([1.0, 2.0, 2.5]),)),
}


@pytest.mark.parametrize("name", EXACT)
def test_what_moves_adds_or_compares_is_exact(name: str) -> None:
    """But for the rounding of what is brought in, half a unit a number."""
    function, arguments = EXACT[name]
    settings = {"one_hot": False} if name == "where it is largest" else {}
    private = (lambda a: a.argmax(1, **settings)) if settings else function
    expected = function(*arguments)
    same(numbers(expected), opened(private, *arguments), within=3 * UNIT)


ROUNDED: dict[str, tuple[Function, tuple[Any, ...], float]] = {
    "multiply": (lambda a, b: a * b, (X, Y), 16 * UNIT),
    "multiply by a small number": (lambda a: a * 0.001, (X,), 2 * UNIT),
    "square": (lambda a: a.square(), (X,), 16 * UNIT),
    "divide": (lambda a, b: a / b, (X, POSITIVE), 300 * UNIT),
    "divide by a number": (lambda a: a / 3, (X,), 4 * UNIT),
    "divide a number": (lambda a: 2 / a, (POSITIVE,), 200 * UNIT),
    "cube": (lambda a: a.pow(3), (X,), 600 * UNIT),
    "matrices": (lambda a, b: a.matmul(b), (X, Y.t().contiguous()), 60 * UNIT),
    "matrix and vector": (lambda a, b: a.matmul(b), (X, Y[0]), 60 * UNIT),
    "known matrix": (lambda a: a.matmul(Y.t()), (X,), 60 * UNIT),
    "mean": (lambda a: a.mean(1), (X,), 8 * UNIT),
    "mean of all": (lambda a: a.mean(), (X,), 8 * UNIT),
    "product": (lambda a: a.prod(1), (X / 3,), 60 * UNIT),
    "norm": (lambda a: a.norm(), (X,), 60 * UNIT),
    "exp": (lambda a: a.exp(), (X,), 4 * UNIT + 6e-5 * float(X.exp().max())),
    "log": (lambda a: a.log(), (POSITIVE,), 30 * UNIT),
    "reciprocal": (lambda a: a.reciprocal(), (Y,), 500 * UNIT),
    "sqrt": (lambda a: a.sqrt(), (POSITIVE,), 6 * UNIT),
    "sigmoid": (lambda a: a.sigmoid(), (X,), 2e-5),
    "tanh": (lambda a: a.tanh(), (X,), 4e-5),
    "erf": (lambda a: a.erf(), (X,), 4e-5),
    "sine": (lambda a: a.sin(), (200 * X,), 4 * UNIT),
    "cosine": (lambda a: a.cos(), (200 * X,), 4 * UNIT),
    "softmax": (lambda a: a.softmax(1), (10 * X,), 3e-5),
    "logarithm of softmax": (lambda a: a.log_softmax(0), (10 * X,), 3e-5),
}


@pytest.mark.parametrize("name", ROUNDED)
def test_what_multiplies_is_off_by_a_stated_bound(name: str) -> None:
    """The engine's bound, and what half a unit off on the way in makes of it."""
    function, arguments, bound = ROUNDED[name]
    same(function(*arguments), opened(function, *arguments), within=bound)


def planar(name: str, *settings: Any, **more: Any) -> tuple[Function, Function]:
    """One operation as torch has it and as a method of a secret tensor."""
    return (
        lambda *arrays: getattr(functional, name)(*arrays, *settings, **more),
        lambda *arrays: getattr(arrays[0], name)(*arrays[1:], *settings, **more),
    )


PLANAR: dict[str, tuple[tuple[Function, Function], tuple[Any, ...]]] = {
    "convolve": (planar("conv2d", stride=2, padding=1, groups=2), (PLANES, KERNELS)),
    "convolve, spread": (planar("conv2d", dilation=(2, 1), padding=(2, 0), groups=2), (PLANES, KERNELS)),
    "convolve rows": (planar("conv1d", stride=2, padding=1, groups=2), (PLANES[:, :, 0], KERNELS[:, :, 0])),
    "convolve back": (
        planar("conv_transpose2d", stride=2, padding=1, output_padding=1, groups=2),
        (PLANES, KERNELS[:4]),
    ),
    "convolve rows back": (planar("conv_transpose1d", stride=2, padding=1), (PLANES[:, :, 0], KERNELS[:4, :, 0])),
    "average windows": (planar("avg_pool2d", 3, stride=2, padding=1), (PLANES,)),
    "largest of windows": (planar("max_pool2d", 3, stride=2, padding=1), (PLANES,)),
    "largest of windows that reach out": (planar("max_pool2d", 3, stride=2, padding=1, ceil_mode=True), (PLANES,)),
    "largest of spread windows": (planar("max_pool2d", (2, 3), stride=(2, 1), dilation=2), (PLANES,)),
}


@pytest.mark.parametrize("name", PLANAR)
def test_planes_are_convolved_and_pooled_as_torch_does(name: str) -> None:
    """For strides, padding, dilation and groups."""
    (expected, private), arguments = PLANAR[name]
    same(expected(*arguments), opened(private, *arguments), within=40 * UNIT)


def test_the_place_of_the_largest_is_one_hot_and_the_first_of_equals() -> None:
    """One 1 a row, where the row's largest stands first."""
    rows = torch.tensor([[1.0, 3.0, 3.0, 2.0, 0.0], [5.0, 5.0, 5.0, 5.0, 5.0], [-1.0, -2.0, -3.0, -4.0, 0.5]])
    expected = torch.tensor([[0.0, 1, 0, 0, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 1]])
    assert torch.equal(expected, opened(lambda a: a.argmax(1), rows))


def test_a_number_without_axes_is_its_own_largest() -> None:
    """And stands at the only place there is."""
    value, place, sum_ = opened(lambda a: [*a.max(0), a + 1], torch.tensor(2.5))
    assert (2.5, 1.0, 3.5) == (float(value), float(place), float(sum_))
    assert () == value.shape == place.shape == sum_.shape


def test_a_choice_takes_one_or_the_other() -> None:
    """With a secret condition and with a known one."""
    expected = torch.where(X > 0, X, Y)
    same(expected, opened(lambda a, b: a.where(a > 0, b), X, Y), within=UNIT)
    same(expected, opened(lambda a, b: a.where(X > 0, b), X, Y), within=UNIT)
    same(expected, opened(lambda a, b: crypten.where(a > 0, a, b), X, Y), within=2 * UNIT)


def test_padding_is_of_any_number() -> None:
    """A known one, or a secret one."""
    expected = functional.pad(X, (1, 2, 0, 1), value=2.5)
    same(expected, opened(lambda a: a.pad((1, 2, 0, 1), value=2.5), X), within=UNIT)
    same(expected, opened(lambda a, b: a.pad((1, 2, 0, 1), value=b), X, torch.tensor(2.5)), within=UNIT)


def test_writing_into_a_tensor_changes_it_and_nothing_else() -> None:
    """In place, by index and by view; a copy and what it was made from stay as they were."""

    def program() -> Any:
        x = crypten.cryptensor(X)
        kept, plus = x.clone(), x + 1.0
        x[1] = 7.0
        x[0] += 1.0
        x[2:3].mul_(2.0)
        plus.sub_(1.0)
        return [one.get_plain_text() for one in (x, kept, plus)]

    expected = X.clone()
    expected[1], expected[0] = 7.0, X[0] + 1.0
    expected[2] *= 2.0
    written, kept, back = together(program)
    same(expected, written, within=2 * UNIT)
    same(X, kept, within=UNIT)
    same(X, back, within=UNIT)


def test_integers_and_bits_mix_with_fractions() -> None:
    """A comparison's result, written to and scaled."""
    expected = (X > 0).float() * 0.25 + X

    def program() -> Any:
        x = crypten.cryptensor(X)
        flags = x > 0
        flags[0, 0] = 0.5
        flags[0, 0] = x[0, 0] > 0
        return (flags * 0.25 + x).get_plain_text()

    same(expected, together(program), within=2 * UNIT)


def test_each_party_may_bring_something_in_and_one_alone_may_learn() -> None:
    """`src` and `dst`; and a shape that only the source knows."""

    def program() -> Any:
        rank = myself().rank
        parts = [crypten.cryptensor(X if rank == src else torch.zeros(4, 5), src=src) for src in range(3)]
        told = crypten.cryptensor(Y if rank == 2 else None, src=2, broadcast_size=True)
        one = (parts[0] + parts[1] + parts[2] + told).get_plain_text(dst=1)
        if rank == 1:
            same(3 * X + Y, one, within=4 * UNIT)
        return [rank == 1, one is None]

    assert [False, True] == together(program)


def test_random_numbers_are_uniform_and_nobody_knows_them() -> None:
    """From 0 to 1, with the mean and the variance that uniform numbers have."""
    drawn = together(lambda: crypten.rand(100, 100).get_plain_text())
    assert 0 <= float(drawn.min()) <= float(drawn.max()) < 1
    assert 0.5 == pytest.approx(float(drawn.mean()), abs=0.02)
    assert 1 / 12 == pytest.approx(float(drawn.var()), abs=0.005)


def test_normal_numbers_have_their_moments() -> None:
    """CrypTen's own construction, on our logarithm, root and sine."""
    drawn = together(lambda: crypten.randn(60, 60).get_plain_text())
    assert 0.0 == pytest.approx(float(drawn.mean()), abs=0.1)
    assert 1.0 == pytest.approx(float(drawn.std()), abs=0.1)


def test_shares_of_a_checkpoint_become_the_tensor_again() -> None:
    """`share` at each party, and `from_shares`; torch stores them without a pickle of ours."""

    def program() -> Any:
        held = crypten.cryptensor(X).share
        assert (2, *X.shape) == tuple(held.shape)
        return ReplicatedTensor.from_shares(held).get_plain_text()

    same(X, together(program), within=UNIT)


def test_a_tensor_shows_nothing_of_what_is_in_it() -> None:
    """Neither printed nor asked for its data, which is a stand-in without a share."""

    def program() -> Any:
        secret = crypten.cryptensor(torch.full((10,), 1.5))
        assert "1.5" not in repr(secret)
        assert torch.equal(torch.zeros(10), secret.data)
        secret.data.fill_(1)
        return secret.get_plain_text()

    assert torch.equal(torch.full((10,), 1.5), together(program))


@pytest.mark.parametrize(
    "settings", [{"device": "cuda"}, {"ptype": crypten.mpc.binary}, {"precision": 7}, {"colour": "red"}], ids=str
)
def test_what_we_do_not_have_is_refused(settings: dict[str, Any]) -> None:
    """By name, before anything is sent."""
    with pytest.raises(BadInput):
        together(lambda: crypten.cryptensor(X, **settings))


def test_numbers_out_of_range_are_refused_at_their_owner() -> None:
    """Nothing is cut off silently."""
    with pytest.raises(BadInput, match="finite"):
        together(lambda: crypten.cryptensor(torch.tensor([1e12])))


def test_without_a_session_nothing_is_made() -> None:
    """The sentence says what to call."""
    with pytest.raises(Misuse, match="init"):
        crypten.cryptensor(X, cryptensor_type=KIND)
