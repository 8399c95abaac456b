"""What a collective gives back when it is asked not to wait: something to wait for."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from types import TracebackType

import torch
from torch.distributed import Work
from torch.futures import Future

from mesh.errors import DeadlinePassed
from mesh.transport.blocking import Raffle, Receipt, Ticket
from protocols.runtimes.collectives.talk import Circle

__all__ = ["Background", "Drawn", "Finished", "Pending", "Received", "Sent"]


class Finished(Work):  # type: ignore[misc]  # torch is not annotated here
    """Done before anybody could wait for it."""

    def __init__(self, tensors: Sequence[torch.Tensor] = ()) -> None:
        super().__init__()
        self._tensors = list(tensors)

    def wait(self, timeout: timedelta = timedelta()) -> bool:
        return True

    def is_completed(self) -> bool:
        return True

    def is_success(self) -> bool:
        return True

    def result(self) -> list[torch.Tensor]:
        return self._tensors

    def get_future(self) -> Future[list[torch.Tensor]]:
        future: Future[list[torch.Tensor]] = Future()
        future.set_result(self._tensors)
        return future


class Pending(Finished):
    """A collective that another thread carries out."""

    def __init__(self, act: Callable[[], None], tensors: Sequence[torch.Tensor]) -> None:
        super().__init__(tensors)
        self._act = act
        self._future: Future[list[torch.Tensor]] = Future()
        self._error: BaseException | None = None
        self._over = threading.Event()

    def run(self) -> None:
        """Carry it out. Whatever goes wrong is raised where somebody waits for it."""
        with self:
            self._act()

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._error = error
        self._over.set()
        if error is None:
            self._future.set_result(self._tensors)
        elif isinstance(error, Exception):
            self._future.set_exception(error)
        return isinstance(error, Exception)

    def wait(self, timeout: timedelta = timedelta()) -> bool:
        """Until it is done.

        Raises:
            PeerLost: as the collective itself, naming the peer.
            DeadlinePassed: it was not done within `timeout`, if that is more than nothing.
        """
        seconds = timeout.total_seconds()
        if not self._over.wait(seconds if seconds > 0 else None):
            raise DeadlinePassed(f"a collective was not done within {seconds:g} s; it goes on.")
        if self._error is not None:
            raise self._error
        return True

    def is_completed(self) -> bool:
        return self._over.is_set()

    def is_success(self) -> bool:
        return self._over.is_set() and self._error is None

    def exception(self) -> BaseException | None:
        return self._error

    def get_future(self) -> Future[list[torch.Tensor]]:
        return self._future


class Background:
    """One thread that carries out a group's collectives in the order in which they were begun."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._queue: queue.SimpleQueue[Pending | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def begin(self, work: Pending) -> None:
        """Carry out `work` after all that was begun before."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        self._queue.put(work)

    def close(self) -> None:
        """Finish what was begun, and end the thread."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while (work := self._queue.get()) is not None:
            work.run()


class Sent(Finished):
    """A message of our own on its way to one rank."""

    def __init__(self, circle: Circle, to: int, ticket: Ticket, tensor: torch.Tensor, limit: float) -> None:
        super().__init__([tensor])
        self._circle, self._to, self._ticket, self._limit = circle, to, ticket, limit

    def wait(self, timeout: timedelta = timedelta()) -> bool:
        """Until it has left. Raises PeerLost."""
        self._circle.finish(self._to, self._ticket, timeout.total_seconds() if timeout > timedelta() else self._limit)
        return True

    def is_completed(self) -> bool:
        return self._ticket.settled

    def is_success(self) -> bool:
        return self._ticket.settled and self._ticket.error is None


class Received(Finished):
    """A message that one rank was asked for.

    Args:
        into: where it arrives; copied to `tensor` if that is another.
    """

    def __init__(self, receipt: Receipt, sender: int, into: torch.Tensor, tensor: torch.Tensor, limit: float) -> None:
        super().__init__([tensor])
        self._receipt, self._sender, self._into, self._tensor, self._limit = receipt, sender, into, tensor, limit

    def wait(self, timeout: timedelta = timedelta()) -> bool:
        """Until it is here. Raises PeerLost and PeerMisbehaved."""
        self._receipt.wait(timeout.total_seconds() if timeout > timedelta() else self._limit)
        if self._into is not self._tensor:
            self._tensor.copy_(self._into)
        return True

    def is_completed(self) -> bool:
        return self._receipt.here

    def is_success(self) -> bool:
        return self._receipt.here

    def source_rank(self) -> int:
        return self._sender

    def _source_rank(self) -> int:
        return self._sender


class Drawn(Finished):
    """A message that any rank was asked for.

    Args:
        into: where it arrives; copied to `tensor` if that is another.
    """

    def __init__(self, circle: Circle, raffle: Raffle, into: torch.Tensor, tensor: torch.Tensor, limit: float) -> None:
        super().__init__([tensor])
        self._circle, self._raffle, self._into, self._tensor, self._limit = circle, raffle, into, tensor, limit

    def wait(self, timeout: timedelta = timedelta()) -> bool:
        """Until it is here. Raises PeerLost and PeerMisbehaved."""
        self._raffle.wait(timeout.total_seconds() if timeout > timedelta() else self._limit)
        if self._into is not self._tensor:
            self._tensor.copy_(self._into)
        return True

    def is_completed(self) -> bool:
        return self._raffle.here

    def is_success(self) -> bool:
        return self._raffle.here

    def source_rank(self) -> int:
        """Who sent it. Waits until that is known."""
        return self._circle.rank_of(self._raffle.wait(self._limit))

    def _source_rank(self) -> int:
        return self.source_rank()
