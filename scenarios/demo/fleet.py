"""Several real node processes on this machine, each with a key, a state directory and a port of its own."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from mesh.authority import Authority
from mesh.config import NodeConfig, to_toml
from mesh.errors import MeshError
from mesh.ids import PeerId

__all__ = ["Fleet", "Machine"]

_PR_SET_PDEATHSIG = 1
_PATIENCE = 15.0


class Machine:
    """One node process.

    Attributes:
        name: what people call the device.
        peer: its id.
        socket: its control socket.
        log: what it has to say.
        cpu: seconds of processor time that it had used when last looked at.
        resident: bytes of memory that it took when last looked at.
        alive: whether its process runs.
    """

    def __init__(
        self, name: str, peer: PeerId, config: NodeConfig, folder: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.peer = peer
        self.socket = config.control
        self.log = folder / "log"
        self.cpu = 0.0
        self.resident = 0
        self._environment = dict(environment or {})
        self._file = folder / "mesh.toml"
        self._file.write_text(to_toml(config))
        self._process: asyncio.subprocess.Process | None = None

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start the node. It is told to die, should the process that started it be killed."""
        command = [sys.executable, "-P", "-m", "mesh", "up", "--config", str(self._file)]
        with self.log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent,
                # Settings of this machine's own node are stronger than the file that each device is given here.
                env={name: value for name, value in os.environ.items() if not name.startswith("MESH_")}
                | self._environment,
            )

    def look(self) -> None:
        """Take note of what it uses. What a device used that is gone stays known."""
        if self._process is None or not self.alive:
            return
        with suppress(psutil.Error):
            process = psutil.Process(self._process.pid)
            times = process.cpu_times()
            self.cpu = times.user + times.system
            self.resident = process.memory_info().rss

    async def kill(self) -> None:
        """SIGKILL: the process gets no chance to say goodbye."""
        self.look()
        if self._process is not None and self.alive:
            self._process.kill()
            await self._process.wait()

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL for a process that does not heed it."""
        if self._process is None or not self.alive:
            return
        self.look()
        self._process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._process.wait()
        except TimeoutError:
            await self.kill()

    def last_words(self) -> str:
        """The end of its log, for an error message."""
        return self.log.read_text(errors="replace")[-600:].strip() if self.log.exists() else ""


class Fleet:
    """Use as a context: entering makes an authority and an identity each, and starts the nodes.

    Args:
        folder: for everything that the nodes keep; its path must be short enough for Unix sockets.
        configure: the settings of the device of that name, which keeps its things in that folder.
        environment: what it is given besides our own environment.
    """

    def __init__(
        self,
        names: Sequence[str],
        folder: Path,
        *,
        configure: Callable[[str, Path], NodeConfig] = lambda _name, state: NodeConfig.loopback(state),
        environment: Callable[[str, Path], Mapping[str, str]] = lambda _name, _state: {},
    ) -> None:
        self.machines: list[Machine] = []
        self._names = names
        self._folder = folder
        self._configure = configure
        self._environment = environment
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        authority = Authority.create(self._folder / "authority", mesh="demo")
        for name in self._names:
            state = self._folder / name
            identity = authority.issue(state / "identity")
            config, environment = self._configure(name, state), self._environment(name, state)
            self.machines.append(Machine(name, identity.peer, config, state, environment))
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._stop_all)
            for machine in self.machines:
                await machine.start()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def named(self, peer: str) -> Machine:
        """The machine of that id. Raises MeshError for a stranger."""
        for machine in self.machines:
            if machine.peer == peer:
                return machine
        raise MeshError(f"{peer[:7]} is none of the demo's devices.")

    def look(self) -> None:
        """Take note of what every machine uses."""
        for machine in self.machines:
            machine.look()

    async def _stop_all(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for machine in self.machines:
                tasks.create_task(machine.stop())


def _die_with_parent() -> None:
    # Between fork and exec: only what is safe there. Ctrl-C is the demo's to handle, so the nodes get a group apart.
    os.setpgid(0, 0)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
