"""Boxes: asked, limited, killed, and never left behind. Each is a real process."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from mesh.errors import Misuse, PeerLost, SessionError
from protocols.runtimes.box import Box, Limits
from tests.unit.protocols.runtimes.boxed import Done, Order

MODULE = "tests.unit.protocols.runtimes.boxed"


async def test_asked_and_answered() -> None:
    """One process answers every question, in order, whatever its code prints or reads."""
    async with Box(MODULE) as box:
        first = await box.ask(Order("who"), Done)
        printed = await box.ask(Order("print"), Done)
        large = await box.ask(Order("large", 3_000_000), Done)
        last = await box.ask(Order("who"), Done)

    assert first == last != Done(str(os.getpid()))
    assert (Done(""), 3_000_000) == (printed, len(large.text))


async def test_reports_come_first() -> None:
    """What a box reports on the way is heard in order, before its answer."""
    heard: list[Done] = []
    async with Box(MODULE) as box:
        await box.ask(Order("count", 5), Done, lambda packed: heard.append(msgspec.msgpack.decode(packed, type=Done)))

    assert [Done(str(number)) for number in range(5)] == heard


async def test_questions_wait_for_each_other() -> None:
    """Several may ask at once; each gets its own answer."""
    async with Box(MODULE) as box, asyncio.TaskGroup() as tasks:
        asked = [tasks.create_task(box.ask(Order("large", size), Done)) for size in (5, 3, 9)]

    assert [5, 3, 9] == [len(task.result().text) for task in asked]


async def test_refusals_are_our_errors() -> None:
    """A mesh error inside is the same error outside, peer and reason included, and the box goes on."""
    async with Box(MODULE) as box:
        with pytest.raises(PeerLost, match="It went out") as caught:
            await box.ask(Order("lose"), Done)
        assert "abcdefghij" == caught.value.peer
        assert Done("xx") == await box.ask(Order("large", 2), Done)


async def test_last_words() -> None:
    """A box that breaks down says of what, and says it again to whoever asks later."""
    async with Box(MODULE) as box:
        for _ in range(2):
            with pytest.raises(SessionError, match=r"with 1 .* ZeroDivisionError: by what was asked"):
                await box.ask(Order("crash"), Done)


async def test_killed_by_somebody() -> None:
    """A box killed from outside is missed at once, by the name of the signal."""
    async with Box(MODULE) as box:
        process = int((await box.ask(Order("who"), Done)).text)
        async with asyncio.TaskGroup() as tasks:
            asking = tasks.create_task(outcome(box.ask(Order("sleep"), Done)))
            await asyncio.sleep(0)
            os.kill(process, signal.SIGKILL)

    assert "SIGKILL" in str(asking.result())


async def outcome(asking: object) -> Exception | None:
    try:
        await asking  # type: ignore[misc]
    except SessionError as error:
        return error
    return None


async def test_too_much_memory() -> None:
    """A box cannot allocate more than it was given."""
    async with Box(MODULE, limits=Limits(memory=500 * 2**20)) as box:
        assert Done(str(2**20)) == await box.ask(Order("allocate", 2**20), Done)
        with pytest.raises(SessionError, match="MemoryError"):
            await box.ask(Order("allocate", 2**30), Done)


async def test_too_much_time() -> None:
    """A box that uses up its processor time is killed."""
    async with Box(MODULE, limits=Limits(processor=1)) as box:
        with pytest.raises(SessionError, match="signal"):
            await box.ask(Order("burn"), Done)


async def test_yields_to_the_node() -> None:
    """A box is as nice as it was told to be."""
    async with Box(MODULE, limits=Limits(niceness=7)) as box:
        assert Done(str(os.nice(0) + 7)) == await box.ask(Order("nice"), Done)


async def test_cancelled_means_killed() -> None:
    """Whoever stops waiting ends the box with it, though it is busy."""
    async with Box(MODULE) as box:
        process = int((await box.ask(Order("who"), Done)).text)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await box.ask(Order("sleep"), Done)
    assert not alive(process)


async def test_cancelled_while_it_may_end_by_itself() -> None:
    """Whoever is cancelled while a box takes its time to end leaves no process, and nothing open."""
    box = await Box(MODULE).__aenter__()
    process = int((await box.ask(Order("who"), Done)).text)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await box.__aexit__(None, None, None)
    assert not alive(process)


@pytest.mark.parametrize("what", ["child", "runaway"])
async def test_what_it_started_ends_with_it(what: str) -> None:
    """A child of the box does not outlive the box, though it left the box's group and its own parent is gone."""
    async with Box(MODULE) as box:
        ends = os.pidfd_open(int((await box.ask(Order(what), Done)).text))
    # The signal has been sent; when a process that is not ours follows it, is the kernel's to say.
    assert [ends] == select.select([ends], [], [], 10)[0]
    os.close(ends)


async def test_what_a_killed_box_started_ends_too() -> None:
    """Even a box that is killed outright, and cleans nothing up, leaves nothing behind."""
    async with Box(MODULE) as box:
        ends = os.pidfd_open(int((await box.ask(Order("runaway"), Done)).text))
        process = int((await box.ask(Order("who"), Done)).text)
        os.kill(process, signal.SIGKILL)
        with pytest.raises(SessionError, match="SIGKILL"):
            await box.ask(Order("who"), Done)
    assert [ends] == select.select([ends], [], [], 10)[0]
    os.close(ends)


async def test_an_error_in_the_session_kills() -> None:
    """Leaving with an error does not wait for the box."""
    processes: list[int] = []

    async def fail() -> None:
        async with Box(MODULE) as box:
            processes.append(int((await box.ask(Order("who"), Done)).text))
            raise KeyError("ours")

    with pytest.raises(KeyError):
        await fail()
    assert [False] == [alive(process) for process in processes]


async def test_no_such_module() -> None:
    """What cannot be started says why."""
    async with Box("no.such.module") as box:
        with pytest.raises(SessionError, match=r"no\.such|No module named"):
            await box.ask(Order("who"), Done)


async def test_wrong_use() -> None:
    """A box that is not open cannot be asked, and an answer of another kind is none."""
    box = Box(MODULE)
    with pytest.raises(Misuse, match="async with"):
        await box.ask(Order("who"), Done)
    async with box:
        with pytest.raises(Misuse, match="gave no Order"):
            await box.ask(Order("who"), Order)


NODE = f"""
import asyncio
from protocols.runtimes.box import Box
from {MODULE} import Done, Order

async def main():
    async with Box({MODULE!r}) as box:
        for what in ("who", "child", "runaway"):
            print((await box.ask(Order(what), Done)).text, flush=True)
        await box.ask(Order("sleep"), Done)

asyncio.run(main())
"""


def test_dies_with_its_parent(tmp_path: Path) -> None:
    """A node killed outright leaves no box behind, though the box is busy, and nothing that the box has started."""
    script = tmp_path / "node.py"
    script.write_text(NODE)
    with subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(Path.cwd())}
    ) as node:
        assert node.stdout is not None
        handles = [os.pidfd_open(int(node.stdout.readline())) for _ in range(3)]
        node.kill()
    for handle in handles:
        ended, _, _ = select.select([handle], [], [], 20)  # such a handle can be read when its process has ended
        os.close(handle)

        assert [handle] == ended


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False
