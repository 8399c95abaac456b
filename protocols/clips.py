"""Video, frame by frame, decoded in a process of its own: a malformed clip may crash the decoder, and no more than it.

The child writes each frame to its stdout as height, width (two big-endian 32-bit integers) and height * width * 3
bytes of red, green and blue; height and width 0 say that the clip is over. The pipe between the two is all that it
may be ahead.
"""

from __future__ import annotations

import resource
import struct
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import numpy as np

from mesh.errors import BadInput, ConfigError
from protocols.pictures import LARGEST, Picture

__all__ = ["frames_of"]

_HEAD = struct.Struct(">II")
_MEMORY = 4 * 2**30
"""Bytes of address space that a decoder may take."""


def frames_of(path: Path) -> Iterator[Picture]:
    """The frames of a clip, in order.

    Raises:
        ConfigError: OpenCV is not installed.
        BadInput: the clip cannot be opened, or its decoder gives up before the end.
    """
    if find_spec("cv2") is None:
        raise ConfigError("Reading clips needs OpenCV, which is not installed: pip install 'veilmesh[video]'.")
    if not path.is_file():
        raise BadInput(f"{path}: there is no such file.")
    command = [sys.executable, "-P", "-m", "protocols.clips", str(path.absolute())]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    ) as child:
        if child.stdout is None:
            raise BadInput(f"{path}: its decoder cannot be heard.")
        try:
            yield from _frames(path, child.stdout)
        finally:
            child.kill()


def _frames(path: Path, pipe: IO[bytes]) -> Iterator[Picture]:
    count = 0
    while len(head := pipe.read(_HEAD.size)) == _HEAD.size:
        height, width = _HEAD.unpack(head)
        if not height and count:
            return
        if not 0 < height * width <= LARGEST:
            break
        data = pipe.read(height * width * 3)
        if len(data) != height * width * 3:
            break
        count += 1
        yield np.frombuffer(data, np.uint8).reshape(height, width, 3)
    raise BadInput(f"{path} cannot be decoded further than frame {count}: convert it, for instance with ffmpeg.")


def _decode(path: str, out: IO[bytes]) -> None:
    """The child's whole work."""
    import cv2

    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    clip = cv2.VideoCapture(path, cv2.CAP_FFMPEG)
    while True:
        there, frame = clip.read()
        if not there:
            break
        out.write(_HEAD.pack(*frame.shape[:2]))
        out.write(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB).tobytes())
    out.write(_HEAD.pack(0, 0))
    out.flush()


if __name__ == "__main__":
    _decode(sys.argv[1], sys.stdout.buffer)
