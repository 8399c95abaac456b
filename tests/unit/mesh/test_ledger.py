"""Each request from asking to answer, whatever becomes of its session."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mesh.ledger import Ledger


def test_requests_are_numbered_and_taken_in_order() -> None:
    """From 0, oldest first, each once."""
    ledger = Ledger()
    assert [0, 1] == [ledger.enter({}, 1.0), ledger.enter({}, 2.0)]
    assert [0, 1, None] == [request.seq if request else None for request in (ledger.take() for _ in range(3))]


def test_the_first_answer_counts() -> None:
    """Closing tells since when it was open; a second time it tells that there is nothing to close."""
    ledger = Ledger()
    seq = ledger.enter({}, 7.0)
    assert 7.0 == ledger.close(seq)
    assert ledger.close(seq) is None
    assert ledger.take() is None


def test_a_lost_session_gives_back_what_it_took() -> None:
    """Oldest first, before what was never taken; what has its answer is not asked again."""
    ledger = Ledger()
    for _ in range(4):
        ledger.enter({}, 0.0)
    for _ in range(3):
        ledger.take()
    ledger.close(1)
    assert 2 == ledger.rewind()
    assert [0, 2, 3] == [request.seq for request in iter(ledger.take, None)]
    assert (2, 4, 3) == (ledger.replays, ledger.asked, len(ledger))


@given(st.lists(st.sampled_from(["enter", "take", "close", "rewind"]), max_size=60))
def test_no_request_is_lost_or_closed_twice(steps: list[str]) -> None:
    """In any order of events, every request that was entered is open or closed, never both and never neither."""
    ledger, closed = Ledger(), set[int]()
    for number, step in enumerate(steps):
        match step:
            case "enter":
                ledger.enter({}, float(number))
            case "take":
                taken = ledger.take()
                assert taken is None or taken.seq not in closed
            case "close":
                if (seq := number % max(1, ledger.asked)) not in closed and ledger.close(seq) is not None:
                    closed.add(seq)
            case _:
                ledger.rewind()
    ledger.rewind()
    still = [request.seq for request in iter(ledger.take, None)]
    assert sorted(still) == still
    assert set(range(ledger.asked)) == closed | set(still)
    assert not closed & set(still)
