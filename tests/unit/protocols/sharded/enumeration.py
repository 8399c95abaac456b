"""Every layout there is, one by one: the slow truth that the planner is compared with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import strategies as st

from mesh.errors import NoPlan
from protocols.sharded.planner import Layout, Machine, Piece, lay_out

Score = tuple[int, int, int, int]
"""Bottleneck and latency in nanoseconds, bytes, parts."""


@dataclass(frozen=True)
class Question:
    pieces: list[Piece]
    machines: list[Machine]
    leaving: int
    entry: int | None
    least: int
    most: int | None

    def ask(self) -> Layout:
        return lay_out(
            self.pieces,
            self.machines,
            leaving=self.leaving,
            entry=self.entry,
            minimum_parts=self.least,
            maximum_parts=self.most,
        )


@st.composite
def questions(draw: st.DrawFn, pieces: int, machines: int) -> Question:
    """Small whole numbers, many of them equal, so that ties and tight fits are common."""
    small = st.integers(0, 6)
    piece = st.builds(
        lambda work, weights, scratch, entering: Piece(work * 1e8, weights, scratch, entering * 1000),
        small, small, small, small,
    )  # fmt: skip
    machine = st.builds(
        lambda memory, speed, link: Machine(memory, speed * 1e9, link * 5e4),
        st.integers(0, 24), st.integers(1, 3), st.integers(1, 3),
    )  # fmt: skip
    devices = draw(st.lists(machine, min_size=1, max_size=machines))
    least = draw(st.integers(1, 3))
    return Question(
        draw(st.lists(piece, min_size=1, max_size=pieces)),
        devices,
        draw(small) * 1000,
        draw(st.none() | st.integers(0, len(devices) - 1)),
        least,
        draw(st.none() | st.integers(least, 4)),
    )


def best_of_all(question: Question) -> Score | None:
    return min(_scores(question, 0, (), (0, 0, 0)), default=None)


def _scores(question: Question, first: int, used: tuple[int, ...], so_far: tuple[int, int, int]) -> Iterator[Score]:
    pieces, machines = question.pieces, question.machines
    if first == len(pieces):
        if question.least <= len(used) <= (question.most or len(machines)):
            worst, total, moved = _sent(question, used[-1], None, question.leaving, so_far)
            yield worst, total, moved, len(used)
        return
    for place, machine in enumerate(machines):
        if place in used or (used and place == question.entry):
            continue
        sender = used[-1] if used else None
        worst, total, moved = _sent(question, sender, place, pieces[first].entering, so_far)
        for last in range(first + 1, len(pieces) + 1):
            part = pieces[first:last]
            if sum(piece.weights for piece in part) + max(piece.scratch for piece in part) > machine.memory:
                break
            time = round(sum(piece.work for piece in part) / machine.speed * 1e9)
            yield from _scores(question, last, (*used, place), (max(worst, time), total + time, moved))


def _sent(
    question: Question, sender: int | None, receiver: int | None, size: int, so_far: tuple[int, int, int]
) -> tuple[int, int, int]:
    """None is whoever feeds the model: the entry, or somebody with a link that never limits."""
    ends = [question.entry if end is None else end for end in (sender, receiver)]
    if ends[0] == ends[1]:
        return so_far
    rate = min(question.machines[end].link for end in ends if end is not None)
    time = round(size / rate * 1e9)
    worst, total, moved = so_far
    return max(worst, time), total + time, moved + size


def expect_best(question: Question) -> None:
    """The planner's layout equals the best of all in each of the four respects; where there is none, it says so."""
    best = best_of_all(question)
    if best is None:
        with pytest.raises(NoPlan):
            question.ask()
        return
    layout = question.ask()

    assert best[0] == pytest.approx(layout.bottleneck * 1e9)
    assert best[1] == pytest.approx(layout.latency * 1e9)
    assert best[2:] == (layout.traffic, len(layout.shares))
