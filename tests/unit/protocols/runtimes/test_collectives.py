"""Every collective against plain arithmetic, the ranks as threads of one process, over real links and real TLS."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import torch
else:
    torch = pytest.importorskip("torch", reason="torch comes with the extra 'private'")

from torch.distributed import distributed_c10d as c10d

from mesh.errors import Misuse
from mesh.identity import Identity
from mesh.transport.blocking import Links
from protocols.runtimes.collectives.folding import fold_of
from protocols.runtimes.collectives.group import MeshGroup
from tests.unit.protocols.runtimes.ranks import (
    everywhere,
    groups_over,
    issue,
    open_links,
    options,
    start_threads,
    together,
    values,
)

Op = c10d.ReduceOp
SIZES = (1, 7, 100_003)  # the last is sent in parts among three


@pytest.fixture(scope="module")
def identities(tmp_path_factory: pytest.TempPathFactory) -> list[Identity]:
    return issue(tmp_path_factory, 3)


@pytest.fixture(scope="module", params=[2, 3])
def links(request: pytest.FixtureRequest, identities: list[Identity]) -> Iterator[list[Links]]:
    opened = open_links(identities[: request.param])
    together(*(functools.partial(start_threads, one) for one in opened))
    yield opened
    for one in opened:
        one.close(farewell=False)


@pytest.fixture
def groups(links: list[Links], request: pytest.FixtureRequest) -> Iterator[list[MeshGroup]]:
    """One member each of a fresh group."""
    made = groups_over(links, request.node.name, range(len(links)))
    yield made
    for group in made:
        group.shutdown()


REDUCTIONS = [
    (Op.SUM, torch.add, (torch.int64, torch.int32, torch.uint8, torch.float32, torch.bfloat16, torch.float16)),
    (Op.PRODUCT, torch.mul, (torch.int64, torch.float64)),
    (Op.MIN, torch.minimum, (torch.int64, torch.float32)),
    (Op.MAX, torch.maximum, (torch.int8, torch.float32)),
    (Op.BAND, torch.bitwise_and, (torch.int64, torch.bool)),
    (Op.BOR, torch.bitwise_or, (torch.int64, torch.bool)),
    (Op.BXOR, torch.bitwise_xor, (torch.int64, torch.uint8)),
]
CASES = [(op, step, dtype) for op, step, dtypes in REDUCTIONS for dtype in dtypes]


@pytest.mark.parametrize("later", [False, True], ids=["now", "later"])
@pytest.mark.parametrize(("op", "step", "dtype"), CASES, ids=lambda case: getattr(case, "__name__", str(case)))
def test_all_reduce(groups: list[MeshGroup], op: Any, step: Any, dtype: torch.dtype, later: bool) -> None:
    """All reduce everything, and every rank has the very same bits: those of folding in rank order."""
    for size in SIZES:
        parts = [values(rank, size, dtype) for rank in range(len(groups))]

        def act(group: MeshGroup, parts: list[torch.Tensor] = parts) -> torch.Tensor:
            tensor = parts[group.rank()].clone()
            group.allreduce([tensor], options(c10d.AllreduceOptions, reduceOp=Op(op), later=later)).wait()
            return tensor

        for result in everywhere(groups, act):
            assert torch.equal(functools.reduce(step, parts), result)


NUMBERS = (
    torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool,
    torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64,
)  # fmt: skip


def test_every_reduction_of_every_kind_of_number(groups: list[MeshGroup]) -> None:
    """What torch computes on a processor is reduced, large or small, and what it does not compute is a sentence."""
    done, refused = 0, 0
    for op, step, _ in REDUCTIONS:
        for dtype in NUMBERS:
            parts = [values(rank, 70_001, dtype) for rank in range(len(groups))]
            try:
                expected = functools.reduce(step, parts)
            except RuntimeError:
                with pytest.raises(Misuse):
                    fold_of(Op(op), dtype)
                refused += 1
                continue

            def act(group: MeshGroup, parts: list[torch.Tensor] = parts, op: Any = op) -> torch.Tensor:
                tensor = parts[group.rank()].clone()
                group.allreduce([tensor], options(c10d.AllreduceOptions, reduceOp=Op(op))).wait()
                return tensor

            assert [True] * len(groups) == [torch.equal(expected, result) for result in everywhere(groups, act)]
            done += 1

    assert (60, 17) == (done, refused)


def test_average(groups: list[MeshGroup]) -> None:
    """An average is the sum divided by the number of ranks, and is refused where it would have to be rounded."""

    def act(group: MeshGroup, tensor: torch.Tensor) -> torch.Tensor:
        group.allreduce([tensor], options(c10d.AllreduceOptions, reduceOp=Op(Op.AVG))).wait()
        return tensor

    expected = sum(range(len(groups))) / len(groups)

    for result in everywhere(groups, lambda group: act(group, torch.full((5,), float(group.rank())))):
        assert torch.equal(torch.full((5,), expected), result)
    with pytest.raises(Misuse, match="rounded"):
        act(groups[0], torch.ones(1, dtype=torch.int64))


def test_what_cannot_be_reduced(groups: list[MeshGroup]) -> None:
    """Bits of fractions, and reductions we do not know, are refused before anything is sent."""
    with pytest.raises(Misuse, match="whole numbers"):
        groups[0].allreduce([torch.ones(1)], options(c10d.AllreduceOptions, reduceOp=Op(Op.BXOR)))
    with pytest.raises(Misuse, match="not known"):
        fold_of(SimpleNamespace(op=Op.RedOpType.PREMUL_SUM), torch.float32)


@pytest.mark.parametrize("size", SIZES)
def test_reduce(groups: list[MeshGroup], size: int) -> None:
    """Only the root gets the result; what the others handed in stays as it is."""
    parts = [values(rank, size) for rank in range(len(groups))]
    root = len(groups) - 1

    def act(group: MeshGroup) -> torch.Tensor:
        tensor = parts[group.rank()].clone()
        group.reduce([tensor], options(c10d.ReduceOptions, rootRank=root, reduceOp=Op(Op.SUM))).wait()
        return tensor

    results = everywhere(groups, act)

    assert torch.equal(functools.reduce(torch.add, parts), results[root])
    for rank in range(root):
        assert torch.equal(parts[rank], results[rank])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("root", [0, 1])
def test_broadcast(groups: list[MeshGroup], size: int, root: int) -> None:
    """Everyone has what the root had."""

    def act(group: MeshGroup) -> torch.Tensor:
        tensor = values(group.rank(), size)
        group.broadcast([tensor], options(c10d.BroadcastOptions, rootRank=root)).wait()
        return tensor

    for result in everywhere(groups, act):
        assert torch.equal(values(root, size), result)


def test_gather_and_all_gather(groups: list[MeshGroup]) -> None:
    """What everyone has, in rank order: at the root, at all, as a list and as one tensor."""
    size, ranks = 6, range(len(groups))
    expected = torch.stack([values(rank, size) for rank in ranks])

    def act(group: MeshGroup) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        mine = values(group.rank(), size)
        outs, whole = [torch.empty(size) for _ in ranks], torch.empty(len(ranks) * size)
        group.allgather([outs], [mine], options(c10d.AllgatherOptions)).wait()
        group.all_gather_single(whole, mine, options(c10d.AllgatherOptions)).wait()
        root = [[torch.empty(size) for _ in ranks]] if group.rank() == 1 else []
        group.gather(root, [mine], options(c10d.GatherOptions, rootRank=1)).wait()
        return torch.stack(outs), whole.view(len(ranks), size), torch.stack(root[0]) if root else None

    for rank, (listed, whole, at_root) in enumerate(everywhere(groups, act)):
        assert torch.equal(expected, listed)
        assert torch.equal(expected, whole)
        assert (rank == 1) is (at_root is not None and torch.equal(expected, at_root))


def test_scatter(groups: list[MeshGroup]) -> None:
    """Each gets the part that the root has for it."""
    ranks = range(len(groups))

    def act(group: MeshGroup) -> torch.Tensor:
        out = torch.empty(4)
        parts = [[values(rank, 4) for rank in ranks]] if group.rank() == 0 else []
        group.scatter([out], parts, options(c10d.ScatterOptions, rootRank=0)).wait()
        return out

    for rank, result in enumerate(everywhere(groups, act)):
        assert torch.equal(values(rank, 4), result)


@pytest.mark.parametrize("size", SIZES)
def test_reduce_scatter(groups: list[MeshGroup], size: int) -> None:
    """Each gets its own part of the sum, from lists and from one tensor."""
    ranks = range(len(groups))
    total = functools.reduce(torch.add, [values(rank, size * len(ranks)) for rank in ranks]).view(len(ranks), size)

    def act(group: MeshGroup) -> tuple[torch.Tensor, torch.Tensor]:
        mine, out, whole = values(group.rank(), size * len(ranks)), torch.empty(size), torch.empty(size)
        settings = options(c10d.ReduceScatterOptions, reduceOp=Op(Op.SUM))
        group.reduce_scatter([out], [list(mine.view(len(ranks), size))], settings).wait()
        group.reduce_scatter_single(whole, mine, settings).wait()
        return out, whole

    for rank, results in enumerate(everywhere(groups, act)):
        for result in results:
            assert torch.equal(total[rank], result)


@pytest.mark.parametrize("size", SIZES)
def test_reduce_scatter_into_its_own_source(groups: list[MeshGroup], size: int) -> None:
    """The result may lie where our own part lay: that of nobody else is changed by it."""
    ranks = range(len(groups))
    total = functools.reduce(torch.add, [values(rank, size * len(ranks)) for rank in ranks]).view(len(ranks), size)

    def act(group: MeshGroup) -> torch.Tensor:
        parts = list(values(group.rank(), size * len(ranks)).view(len(ranks), size))
        settings = options(c10d.ReduceScatterOptions, reduceOp=Op(Op.SUM))
        group.reduce_scatter([parts[group.rank()]], [parts], settings).wait()
        return parts[group.rank()]

    for rank, result in enumerate(everywhere(groups, act)):
        assert torch.equal(total[rank], result)


def test_all_to_all(groups: list[MeshGroup]) -> None:
    """Each has something for each, of different sizes; nothing is lost or mixed up, as lists and as one tensor."""
    ranks = range(len(groups))

    def what(sender: int, to: int) -> torch.Tensor:
        return values(10 * sender + to, 1 + sender + 2 * to)

    def act(group: MeshGroup) -> tuple[torch.Tensor, torch.Tensor]:
        me = group.rank()
        parts = [what(me, to) for to in ranks]
        outs = [torch.empty_like(what(sender, me)) for sender in ranks]
        whole = torch.empty(sum(map(len, outs)))
        group.alltoall(outs, parts, options(c10d.AllToAllOptions)).wait()
        group.all_to_all_single(
            whole, torch.cat(parts), [*map(len, outs)], [*map(len, parts)], options(c10d.AllToAllOptions)
        ).wait()
        return torch.cat(outs), whole

    for rank, (listed, whole) in enumerate(everywhere(groups, act)):
        assert torch.equal(torch.cat([what(sender, rank) for sender in ranks]), listed)
        assert torch.equal(listed, whole)


def test_equal_parts_to_all(groups: list[MeshGroup]) -> None:
    """Without sizes, rows are cut in equal parts; what cannot be cut so is refused."""
    size = len(groups)

    def act(group: MeshGroup) -> torch.Tensor:
        out = torch.empty(size, 2)
        group.all_to_all_single(
            out, torch.full((size, 2), float(group.rank())), [], [], options(c10d.AllToAllOptions)
        ).wait()
        return out

    for result in everywhere(groups, act):
        assert torch.equal(torch.arange(float(size)).repeat(2, 1).T, result)
    with pytest.raises(Misuse, match="equal parts"):
        groups[0].all_to_all_single(torch.empty(size + 1), torch.empty(size + 1), [], [], options(c10d.AllToAllOptions))


def test_messages_between_two(groups: list[MeshGroup]) -> None:
    """Sends and receives are matched by tag, whatever their order, and large ones may cross."""

    def act(group: MeshGroup) -> list[torch.Tensor]:
        if group.rank() > 1:
            return []
        other, mine = 1 - group.rank(), [values(group.rank(), 3), values(group.rank() + 5, 2_000_000)]
        into = [torch.empty(2_000_000), torch.empty(3)]
        works = [group.recv([into[0]], other, 2), group.recv([into[1]], other, 1)]
        works += [group.send([mine[0]], other, 1), group.send([mine[1]], other, 2)]
        for work in reversed(works):
            assert work.wait()
            assert work.is_completed()
        return into

    first, second = everywhere(groups, act)[:2]

    for rank, (large, small) in ((1, first), (0, second)):
        assert torch.equal(values(rank, 3), small)
        assert torch.equal(values(rank + 5, 2_000_000), large)


def test_messages_from_anybody(groups: list[MeshGroup]) -> None:
    """Who does not say from whom gets each message once, in place or scattered, and is told whose it was."""
    ranks = range(1, len(groups))

    def act(group: MeshGroup) -> list[tuple[int, bool]]:
        me = group.rank()
        if me > 0:
            group.send([values(me, 6)], 0, 3).wait()
            return []
        taken = []
        for place in (torch.empty(6), torch.empty(12)[::2])[: len(ranks)]:
            work = group.recv_anysource([place], 3)
            assert work.wait()
            assert work.is_completed()
            sender = work._source_rank()
            taken.append((sender, torch.equal(values(sender, 6), place)))
        return taken

    assert [(rank, True) for rank in ranks] == sorted(everywhere(groups, act)[0])


def test_tensors_in_pieces(groups: list[MeshGroup]) -> None:
    """Transposed, strided and empty tensors, scalars, and leaves that need gradients are as good as any."""

    def act(group: MeshGroup) -> list[torch.Tensor]:
        one = torch.ones(4, 6).T
        two = torch.ones(10)[::2]
        tensors = [one, two, torch.empty(0), torch.tensor(1.0), torch.ones(3, requires_grad=True)]
        group.allreduce(tensors, options(c10d.AllreduceOptions, reduceOp=Op(Op.SUM))).wait()
        if group.rank() == 0:
            group.send([one], 1, 0).wait()
        elif group.rank() == 1:
            group.recv([two], 0, 0) if two.nbytes == one.nbytes else group.recv([one], 0, 0).wait()
        return tensors

    for result in everywhere(groups, act):
        for tensor in result:
            assert torch.equal(torch.full_like(tensor, len(groups)), tensor)


def test_many_at_once(groups: list[MeshGroup]) -> None:
    """Fifty collectives begun before any is waited for, with others in between, all come out right."""

    def act(group: MeshGroup) -> bool:
        tensors = [torch.full((1000,), number) for number in range(50)]
        later = options(c10d.AllreduceOptions, reduceOp=Op(Op.SUM), later=True)
        works = [group.allreduce([tensor], later) for tensor in tensors]
        group.barrier(options(c10d.BarrierOptions)).wait()
        futures = [work.get_future() for work in works[::2]]
        good = all(work.wait() for work in works) and all(work.is_success() for work in works)
        good &= all(future.wait()[0] is tensor for future, tensor in zip(futures, tensors[::2], strict=True))
        return good and all(bool((tensor == number * group.size()).all()) for number, tensor in enumerate(tensors))

    assert all(everywhere(groups, act))


def test_sub_groups_do_not_meet(links: list[Links]) -> None:
    """Two groups of the same parties, in another order and at work at once, never take each other's messages."""
    ranks = list(range(len(links)))
    one, other = groups_over(links, "one", ranks), groups_over(links, "other", ranks[::-1])

    def act(group: MeshGroup) -> list[torch.Tensor]:
        outs = [torch.empty(3) for _ in ranks]
        for _ in range(20):
            group.allgather([outs], [torch.full((3,), float(group.rank()))], options(c10d.AllgatherOptions)).wait()
        return outs

    for outs in everywhere(one + other, act):
        assert [float(rank) for rank in ranks] == [float(out[0]) for out in outs]


def test_wrong_use(groups: list[MeshGroup]) -> None:
    """Negative tags, several tensors at once and sparse tensors are refused with a sentence."""
    wrong: list[Callable[[], Any]] = [
        lambda: groups[0].recv_anysource([torch.ones(2).to_sparse()], 0),
        lambda: groups[0].send([torch.ones(1)], 1, -1),
        lambda: groups[0].send([torch.ones(1), torch.ones(1)], 1, 0),
        lambda: groups[0].allreduce([torch.ones(2).to_sparse()], options(c10d.AllreduceOptions, reduceOp=Op(Op.SUM))),
    ]
    for act in wrong:
        with pytest.raises(Misuse):
            act()
