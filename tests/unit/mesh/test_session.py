"""The life of a session: every event in every state."""

from __future__ import annotations

import itertools

import pytest

from mesh.errors import Misuse
from mesh.ids import Rank
from mesh.session import Begin, ChannelUp, Dial, Event, Failed, Finished, Run, Session, State, Stop

UP0, UP2, UP3 = ChannelUp(Rank(0)), ChannelUp(Rank(2)), ChannelUp(Rank(3))


def middle() -> Session:
    """Rank 1 of 4: one channel comes to it, and two it dials."""
    return Session(Rank(1), 4)


def after(*events: Event) -> Session:
    session = middle()
    for event in events:
        session.handle(event)
    return session


RUNNING = (Begin(), UP0, UP2, UP3)
LIVES: dict[str, tuple[Event, ...]] = {
    "invited": (),
    "invited with a channel": (UP0,),
    "gathering": (Begin(),),
    "almost whole": (Begin(), UP0, UP2),
    "running": RUNNING,
    "done": (*RUNNING, Finished()),
    "failed": (Failed("x"),),
}


@pytest.mark.parametrize(
    ("life", "event", "actions", "state"),
    [
        ("invited", Begin(), [Dial(Rank(2)), Dial(Rank(3))], State.GATHERING),
        ("invited", UP0, [], State.INVITED),
        ("invited", Finished(), Misuse, State.INVITED),
        ("invited", Failed("x"), [Stop("x")], State.FAILED),
        ("invited with a channel", Begin(), [Dial(Rank(2)), Dial(Rank(3))], State.GATHERING),
        ("invited with a channel", UP0, Misuse, State.INVITED),
        ("gathering", Begin(), Misuse, State.GATHERING),
        ("gathering", UP0, [], State.GATHERING),
        ("gathering", Finished(), Misuse, State.GATHERING),
        ("gathering", Failed("x"), [Stop("x")], State.FAILED),
        ("almost whole", UP3, [Run()], State.RUNNING),
        ("almost whole", UP2, Misuse, State.GATHERING),
        ("running", Begin(), Misuse, State.RUNNING),
        ("running", UP0, Misuse, State.RUNNING),
        ("running", Finished(), [Stop("finished")], State.DONE),
        ("running", Failed("x"), [Stop("x")], State.FAILED),
        *[("done", event, [], State.DONE) for event in (Begin(), UP0, Finished(), Failed("y"))],
        *[("failed", event, [], State.FAILED) for event in (Begin(), UP0, Finished(), Failed("y"))],
    ],
)
def test_every_event_in_every_state(life: str, event: Event, actions: list[object] | type, state: State) -> None:
    """What is done about it, and where the session stands then. What cannot happen changes nothing."""
    session = after(*LIVES[life])
    if actions is Misuse:
        with pytest.raises(Misuse):
            session.handle(event)
    else:
        assert actions == session.handle(event)
    assert state is session.state


@pytest.mark.parametrize("order", list(itertools.permutations([Begin(), UP0, UP2, UP3])))
def test_it_runs_once_and_last_in_any_order(order: tuple[Event, ...]) -> None:
    """Channels may be up before everyone has said yes; running needs both."""
    session = middle()
    done = [session.handle(event) for event in order]
    assert Run() in done[-1]
    assert not any(Run() in actions for actions in done[:-1])


@pytest.mark.parametrize("size", range(2, 6))
def test_each_pair_has_one_dialler(size: int) -> None:
    """The lower rank dials the higher one: one channel for each pair, and no two cross."""
    dialled = [
        {rank, action.rank}
        for rank in range(size)
        for action in Session(Rank(rank), size).handle(Begin())
        if isinstance(action, Dial)
    ]
    pairs = [set(pair) for pair in itertools.combinations(range(size), 2)]
    assert sorted(map(sorted, pairs)) == sorted(map(sorted, dialled))


def test_a_group_of_one_runs_at_once() -> None:
    """There is nobody to wait for."""
    assert [Run()] == Session(Rank(0), 1).handle(Begin())


def test_the_missing_are_named_lowest_first() -> None:
    """Whoever waits in vain can say for whom."""
    assert [0, 3] == after(Begin(), UP2).missing()
    assert [] == after(*RUNNING).missing()
