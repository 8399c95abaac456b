"""One process at a time may keep a state folder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mesh.errors import ConfigError

__all__ = ["owned"]


@contextmanager
def owned(state: Path) -> Iterator[None]:
    """The state folder, made where it is missing, and ours alone for as long as the context is open.

    Raises:
        ConfigError: another process has it, or it cannot be used.
    """
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(state / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(f"state: {state} cannot be used ({error.strerror}): choose a folder of yours.") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise ConfigError(
            f"state: a node runs on {state} already: stop it, or give this one another --state."
        ) from None
    try:
        yield
    finally:
        os.close(handle)
