"""Carries worked out in trees."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from protocols.smpc.replicated import carry
from protocols.smpc.replicated.carry import Tree, tree_for
from protocols.smpc.replicated.party import Party
from protocols.smpc.replicated.sharing import Secret, SecretBits
from protocols.smpc.replicated.slicing import columns_of
from tests.unit.protocols.smpc.parties import compute

TREES = [
    (7, 3, (3,)), (7, 3, (2, 2)), (8, 4, (2,)), (9, 3, (4,)), (3, 3, ()), (1, 4, ()), (17, 4, (3, 2)), (31, 3, (3, 4)),
    (63, 3, (3, 3, 3)), (63, 4, (4, 4)), (64, 3, (2, 2, 2, 3)), (63, 3, (2, 2, 2, 2, 2)),
]  # fmt: skip


def worked_out(party: Party, secret: Secret, *, tree: Tree) -> SecretBits:
    known = secret.total if party.helps else secret.second if party.rank == 1 else secret.first
    part = carry.work_out(party, tree, known)
    return party.reshare_bits(part, columns_of(secret.size), secret.shape)


def at_rank_0(party: Party, secret: Secret, *, tree: Tree) -> tuple[SecretBits, Secret]:
    """The result, and the third share, from which the sum's two operands follow."""
    zero = np.zeros_like(secret.first)
    lone = {0: (zero, zero), 1: (zero, secret.second), 2: (secret.first, zero)}[party.rank]
    return worked_out(party, secret, tree=tree), Secret(*lone)


@pytest.mark.parametrize(("bits", "leaf", "joins"), TREES)
def test_the_carry_is_the_carry(bits: int, leaf: int, joins: tuple[int, ...]) -> None:
    """However the tree is built, its result is the carry out of the sum of the lowest bits."""
    rng = np.random.default_rng(bits)
    secret = rng.integers(0, 2**64, 300, np.uint64)
    secret[:50] = 0  # then one operand is the other's complement plus one, and carries run all the way

    run = compute(partial(at_rank_0, tree=Tree(bits, leaf, joins)), secret)

    b = run.words[1]
    mask = 2**bits - 1
    expected = [((int(x) - int(y)) % 2**64 & mask) + (int(y) & mask) > mask for x, y in zip(secret, b, strict=True)]
    np.testing.assert_array_equal(np.array(expected, np.uint64), run.words[0])


@pytest.mark.parametrize(("bits", "leaf", "joins"), TREES)
def test_all_ones_are_found(bits: int, leaf: int, joins: tuple[int, ...]) -> None:
    """Without carries, the result says whether all bits of the exclusive or of both operands are set."""
    secret = np.random.default_rng(bits).integers(0, 2**64, 300, np.uint64)
    secret[:100] = 2**64 - 1  # a + b without any carry

    run = compute(partial(at_rank_0, tree=Tree(bits, leaf, joins, carry=False)), secret)

    b = run.words[1]
    mask = np.uint64(2**bits - 1)
    expected = ((secret - b) ^ b) & mask == mask
    np.testing.assert_array_equal(expected.astype(np.uint64), run.words[0])
    assert expected[:100].all()


def test_trees_cost_what_the_module_says() -> None:
    """Bits a value over all links, and rounds, as in the module's table."""
    costs = [
        (tree.dealt + 2 * tree.opened + 2, len(tree.joins))
        for tree in (Tree(63, 3, (3, 3, 3)), Tree(63, 3, (3, 2, 2, 2)), Tree(63, 4, (4, 4)))
    ]

    assert [(358, 3), (354, 4), (425, 2)] == costs


@pytest.mark.parametrize("bits", range(1, 65))
@pytest.mark.parametrize("values", [1, 10**6])
def test_a_tree_ends_in_one(bits: int, values: int) -> None:
    """Whatever is asked for, the tree chosen joins all groups into one; few values get fewer rounds."""
    tree = tree_for(bits, values)

    assert tree.groups == 1 if not tree.joins else [*tree.levels()][-1][2] == 1
    assert len(tree_for(bits, 1).joins) <= len(tree_for(bits, 10**6).joins)
