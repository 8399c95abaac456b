"""Reads real video, frame by frame, in a process of its own: a malformed file can end a decoder, but not us.

Run as a module it is that process: it writes one line, `width height`, and then raw RGB frames to its standard output.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from mesh.errors import BadInput

__all__ = ["clip_frames"]

LARGEST = 1 << 13
"""Pixels; a picture wider or higher than this is refused."""


def clip_frames(path: Path, *, every: int = 1) -> Iterator[NDArray[np.uint8]]:
    """The frames (height, width, 3) uint8 RGB of a video file, in order; of each `every`, the first.

    The decoding process ends with the iterator, also when that is closed early.

    Raises:
        BadInput: OpenCV is not installed, the file is missing or no video, or its decoder broke down in the middle.
    """
    if importlib.util.find_spec("cv2") is None:
        raise BadInput("reading video needs OpenCV, which is not installed: pip install 'veilmesh[video]'")
    if not path.is_file():
        raise BadInput(f"{path} is no file: give the path of a video, such as an .mp4")
    command = [sys.executable, "-m", __spec__.name, str(path), str(every)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            yield from _read(process, path)
        finally:
            process.kill()


def _read(process: subprocess.Popen[bytes], path: Path) -> Iterator[NDArray[np.uint8]]:
    stream = process.stdout
    if stream is None:
        return
    header = stream.readline(64).split()
    if len(header) != 2:
        raise BadInput(
            f"{path} cannot be read as video: OpenCV finds no frame in it. Try to convert it to .mp4 (H.264)"
        )
    width, height = map(int, header)
    count = 0
    while len(raw := stream.read(width * height * 3)) == width * height * 3:
        count += 1
        yield np.frombuffer(raw, dtype=np.uint8).reshape(height, width, 3)
    if process.wait() != 0:
        raise BadInput(
            f"{path}: the video decoder broke down after frame {count}. The file is damaged; cut or convert it"
        )


def _decode(path: str, every: int, out: BinaryIO) -> int:
    """Writes the header and the frames of the file; the process's exit status."""
    import cv2

    capture = cv2.VideoCapture(path)
    size: tuple[int, int] | None = None
    number = 0
    while True:
        good, picture = capture.read()
        if not good:
            return 0 if size else 1
        if size is None:
            size = picture.shape[:2]
            if max(size) > LARGEST:
                return 1
            out.write(f"{size[1]} {size[0]}\n".encode())
        if number % every == 0 and picture.shape[:2] == size:
            out.write(np.ascontiguousarray(picture[..., ::-1]).tobytes())
        number += 1


if __name__ == "__main__":
    sys.exit(_decode(sys.argv[1], int(sys.argv[2]), sys.stdout.buffer))
