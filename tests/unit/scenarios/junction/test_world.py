"""Traffic and people at the junction."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from scenarios.junction.signals import Lamp, lamp
from scenarios.junction.world import World


def world(seed: int) -> World:
    traffic, people = np.random.SeedSequence(seed).spawn(2)
    return World(np.random.default_rng(traffic), np.random.default_rng(people))


def test_the_same_streams_give_the_same_world() -> None:
    """Two worlds of one seed agree to the last bit, and one of another seed does not."""
    one, two, three = world(3), world(3), world(4)
    for each in (one, two, three):
        each.advance(5.0)
    assert [v.pose() for v in one.vehicles] == [v.pose() for v in two.vehicles]
    assert [w.pose() for w in one.walkers] == [w.pose() for w in two.walkers]
    assert [v.pose() for v in one.vehicles] != [v.pose() for v in three.vehicles]


def test_people_do_not_depend_on_traffic() -> None:
    """With another stream of traffic the same people come, looking the same."""
    one = World(np.random.default_rng(1), np.random.default_rng(9))
    two = World(np.random.default_rng(2), np.random.default_rng(9))
    looks = [{walker.number: walker.look for walker in each.walkers} for each in (one, two)]
    shared = looks[0].keys() & looks[1].keys()
    assert shared
    assert all(looks[0][number] == looks[1][number] for number in shared)


@pytest.mark.parametrize("seed", [0, 2])
def test_nobody_drives_over_the_line_at_red(seed: int) -> None:
    """A vehicle whose front crosses its stop line does so at green, or at amber too late to stop."""
    junction = world(seed)
    before = {vehicle.number: vehicle.front for vehicle in junction.vehicles}
    for _ in range(400):
        junction.advance(0.1)
        for vehicle in junction.vehicles:
            stop = vehicle.path.stop
            if before.get(vehicle.number, stop + 1) <= stop < vehicle.front:
                assert lamp(vehicle.path.arm, junction.seconds - 0.1) is not Lamp.RED
        before = {vehicle.number: vehicle.front for vehicle in junction.vehicles}


@pytest.mark.parametrize("seed", [1, 5])
def test_followers_keep_their_distance(seed: int) -> None:
    """Two vehicles on the approach to one stop line never stand in each other."""
    junction = world(seed)
    for _ in range(300):
        junction.advance(0.1)
        lanes = sorted(junction.vehicles, key=lambda vehicle: (vehicle.path.arm, vehicle.front))
        for behind, ahead in itertools.pairwise(lanes):
            if behind.path.arm == ahead.path.arm and ahead.front < ahead.path.stop:
                assert ahead.front - ahead.kind.length > behind.front


def test_no_jam_lasts_for_ever() -> None:
    """Over four minutes of a busy scene everybody gets on within three cycles of the signal."""
    junction = world(2)
    longest = 0.0
    for _ in range(1200):
        junction.advance(0.2)
        longest = max([longest, *(vehicle.stood for vehicle in junction.vehicles)])
    assert longest < 102.0


def test_time_passes_as_asked() -> None:
    """A long advance is as long as its parts."""
    junction = world(6)
    start = junction.seconds
    junction.advance(2.7)
    assert junction.seconds == pytest.approx(start + 2.7)
