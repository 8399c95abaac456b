"""The search behind a plan: dynamic programming over the devices used and the cut reached. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Best", "Costs", "Order", "Places", "best"]

_NEVER = 2**60
"""Nanoseconds of what cannot be. Sums of a few of them still fit in 64 bits."""

SOURCE = -1
"""Among senders and receivers, whoever feeds the model and gets the answer: it stands behind all machines."""

Times = NDArray[np.int64]

Places = tuple[tuple[int, int], ...]
"""For each part its machine and the cut at which it ends."""


class Best(NamedTuple):
    """A way to lay out a model. The less the better, in this order; times in nanoseconds."""

    bottleneck: int
    latency: int
    traffic: int
    parts: int
    places: Places


class Costs:
    """What each choice costs, in whole nanoseconds.

    Args:
        work: of each piece.
        speeds: work per second, of each machine.
        fits: for each machine and each cut before the last: the furthest cut that a part may reach there.
        crossing: bytes across each cut, the first and the last included.
        links: bytes per second of each machine, and at the end those of whoever feeds the model.
        entry: the machine that feeds the model itself, if one does.

    Attributes:
        compute: (machine, from cut, to cut).
        send: (sender, receiver, cut); `SOURCE` is one of them.
        speeds: as given.
        left: work that remains, by cut.
    """

    def __init__(
        self,
        *,
        work: Sequence[float],
        speeds: Sequence[float],
        fits: Sequence[Sequence[int]],
        crossing: Sequence[int],
        links: Sequence[float],
        entry: int | None,
    ) -> None:
        self.speeds = speeds
        self.entry = entry
        self.crossing = crossing
        done = np.array([0.0, *work]).cumsum()
        span = np.maximum(done[None, :] - done[:, None], 0.0)
        self.left = np.subtract(done[-1], done)
        self.compute: Times = np.full((len(speeds), len(done), len(done)), _NEVER, np.int64)
        for machine, (speed, reach) in enumerate(zip(speeds, fits, strict=True)):
            times = _nanoseconds(span, speed)
            for first, last in enumerate(reach):
                self.compute[machine, first, first + 1 : last + 1] = times[first, first + 1 : last + 1]
        rate = np.array(links)
        self.send: Times = _nanoseconds(np.array(crossing)[None, None, :], np.minimum(rate[:, None], rate)[:, :, None])
        if entry is not None:
            self.send[SOURCE, entry] = self.send[entry, SOURCE] = 0

    def travels(self, sender: int, receiver: int, cut: int) -> int:
        """Bytes on the link; none between the entry and itself."""
        return 0 if {sender, receiver} == {SOURCE, self.entry} else self.crossing[cut]


class State(NamedTuple):
    """Which machines were used, as bits, and the last of them; at the beginning that is `SOURCE`."""

    used: int
    last: int


_START = State(0, SOURCE)


@dataclass(frozen=True, slots=True)
class Order:
    """Which machine may hold the next part. The entry may hold only the first.

    Attributes:
        machines: in the only order in which they may be visited, or, if `any_order`, all of them.
        twin: for a machine its predecessor among those exactly like it. It is used after that one only: swapping
            the two would change nothing, and is not tried.
    """

    machines: tuple[int, ...]
    entry: int | None
    any_order: bool
    twin: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def free(cls, machines: Iterable[Hashable], entry: int | None) -> Order:
        """Any order, each machine once."""
        seen: dict[Hashable, int] = {}
        twin: dict[int, int] = {}
        for place, machine in enumerate(machines):
            if place != entry:
                if machine in seen:
                    twin[place] = seen[machine]
                seen[machine] = place
        return cls(tuple(range(len(seen) + len(twin) + (entry is not None))), entry, True, twin)

    @classmethod
    def fixed(cls, line: Sequence[int], entry: int | None) -> Order:
        """Only in the order of `line`, some left out."""
        return cls(tuple(line), entry, False)

    def after(self, state: State) -> Iterator[State]:
        if not self.any_order:
            ahead = self.machines if state == _START else self.machines[self.machines.index(state.last) + 1 :]
            yield from (State(0, machine) for machine in ahead if state == _START or machine != self.entry)
            return
        for machine in self.machines:
            twin = self.twin.get(machine)
            if state.used >> machine & 1 or (twin is not None and not state.used >> twin & 1):
                continue
            if state == _START or machine != self.entry:
                yield State(state.used | 1 << machine, machine)


class _Steps(NamedTuple):
    """What one more part costs, and how costs of consecutive steps join: their maximum, or their sum."""

    compute: Times
    send: Times
    join: np.ufunc
    bound: int
    """Nanoseconds that no step takes longer than."""

    def to(self, machine: int, senders: Sequence[int], reached: Sequence[Times]) -> Times:
        """By the cut at which the part ends, the least time over all senders and all cuts at which it may begin."""
        arrived: Times = self.join(np.array(reached), self.send[senders, machine]).min(axis=0)
        times: Times = self.join(arrived[:, None], self.compute[machine]).min(axis=0)
        return np.minimum(times, _NEVER)

    def back(self, state: State, reached: Times) -> int:
        """The time when the answer is back where it is wanted."""
        return int(self.join(reached[-1], self.send[state.last, SOURCE, -1]))


class Layer(NamedTuple):
    """Everything that some number of parts can reach.

    Attributes:
        reached: for each state, by the cut that was reached, the least time.
        came: for each state, those that may go before it.
    """

    reached: dict[State, Times]
    came: dict[State, list[State]]


def best(costs: Costs, order: Order, least: int, most: int) -> Best | None:
    """The best layout in `least` to `most` parts, or None if there is none.

    First the least bottleneck. Then, among steps no slower than that, the least latency: unlike a maximum, a sum that
    is least as a whole is least at every step. The fewest bytes are found on the way back, along quickest ways only.
    """
    parts = (least, most)
    bottleneck = _bottleneck(costs, order, parts)
    if bottleneck >= _NEVER:
        return None
    total = _bounded(costs, bottleneck, np.add)
    layers, ends = _ends(costs, order, parts, total)
    latency = min(time for *_, time in ends)
    way = _WayBack(costs, layers, total)
    found: list[Best] = []
    for place, state, time in ends:
        if time == latency:
            traffic, places = way.from_(place, state, len(costs.crossing) - 1)
            traffic += costs.travels(state.last, SOURCE, -1)
            found.append(Best(bottleneck, latency, traffic, len(places), places))
    return min(found)


def _bottleneck(costs: Costs, order: Order, parts: tuple[int, int]) -> int:
    """Of any order, only what is no worse than the fastest-first order is looked at: that spares many states."""
    bound = _NEVER
    if order.any_order:
        quick = sorted(order.machines, key=lambda machine: (machine != order.entry, -costs.speeds[machine]))
        bound = _bottleneck(costs, Order.fixed(quick, order.entry), parts)
    _, ends = _ends(costs, order, parts, _bounded(costs, bound, np.maximum))
    return min((time for *_, time in ends), default=_NEVER)


def _bounded(costs: Costs, bound: int, join: np.ufunc) -> _Steps:
    """Steps that take longer than `bound` are never taken."""
    return _Steps(
        np.where(costs.compute <= bound, costs.compute, _NEVER),
        np.where(costs.send <= bound, costs.send, _NEVER),
        join,
        bound,
    )


def _layers(costs: Costs, order: Order, most: int, steps: _Steps) -> list[Layer]:
    def capacity(state: State) -> float:
        """Work that the machines not yet used can do within the bound; more than that may not be left to do."""
        free = sum(speed for machine, speed in enumerate(costs.speeds) if not state.used >> machine & 1)
        return free * (steps.bound + 1) / 1e9

    layers: list[Layer] = []
    sources = {_START: _beginning(costs)}
    for _ in range(most):
        came: dict[State, list[State]] = {}
        for state in sources:
            for target in order.after(state):
                came.setdefault(target, []).append(state)
        reached: dict[State, Times] = {}
        for target, befores in came.items():
            times = steps.to(target.last, [state.last for state in befores], [sources[state] for state in befores])
            times[costs.left > capacity(target)] = _NEVER
            if times.min() < _NEVER:
                reached[target] = times
        layers.append(Layer(reached, came))
        sources = reached
    return layers


def _ends(
    costs: Costs, order: Order, parts: tuple[int, int], steps: _Steps
) -> tuple[list[Layer], list[tuple[int, State, int]]]:
    """All layers; and for each way to end place of its layer, state, and time when the answer is back."""
    least, most = parts
    layers = _layers(costs, order, most, steps)
    return layers, [
        (place, state, steps.back(state, reached))
        for place in range(least - 1, most)
        for state, reached in layers[place].reached.items()
    ]


class _WayBack:
    """From an end to the beginning along quickest ways, by the fewest bytes. Among equals the lowest places win."""

    def __init__(self, costs: Costs, layers: Sequence[Layer], steps: _Steps) -> None:
        self._costs, self._layers, self._steps = costs, layers, steps
        self._known: dict[tuple[int, State, int], tuple[int, Places]] = {}

    def from_(self, place: int, state: State, cut: int) -> tuple[int, Places]:
        """Bytes on the way to a state, and the parts passed."""
        key = place, state, cut
        if key not in self._known:
            self._known[key] = min(self._ways(place, state, cut))
        return self._known[key]

    def _ways(self, place: int, state: State, cut: int) -> Iterator[tuple[int, Places]]:
        layer, machine = self._layers[place], state.last
        for before in layer.came[state]:
            start = _beginning(self._costs) if before == _START else self._layers[place - 1].reached[before]
            times = start + self._steps.send[before.last, machine] + self._steps.compute[machine, :, cut]
            for first in np.flatnonzero(times == layer.reached[state][cut]).tolist():
                traffic, places = (0, ()) if before == _START else self.from_(place - 1, before, first)
                yield traffic + self._costs.travels(before.last, machine, first), (*places, (machine, cut))


def _beginning(costs: Costs) -> Times:
    start = np.full(len(costs.crossing), _NEVER, np.int64)
    start[0] = 0
    return start


def _nanoseconds(amount: NDArray[Any], rate: float | NDArray[np.float64]) -> Times:
    times: Times = np.rint(np.minimum(amount / np.maximum(rate, 1e-9) * 1e9, float(_NEVER))).astype(np.int64)
    return times
