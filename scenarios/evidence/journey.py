"""One job among five nodes that are listened to: from their start to their end, and what was heard and kept."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console

from mesh.config import NodeConfig
from mesh.errors import MeshError
from scenarios.demo.fleet import Fleet
from scenarios.demo.story import wait_met
from scenarios.evidence import listening
from scenarios.evidence.capture import Capture
from scenarios.evidence.classifier import Classifier, Shot
from scenarios.evidence.places import Overheard, files_of, overheard

__all__ = ["CAMERA", "FRACTION", "PARTIES", "STUDIO", "Journey", "travel"]

CAMERA, STUDIO = "camera", "studio"
PARTIES = ("north", "east", "south")
DEVICES = (CAMERA, STUDIO, *PARTIES)
MODEL = "light"

FRACTION = 18
"""Bits after the binary point of the fixed-point numbers that shares are of."""

_PATIENCE = 120.0


@dataclass(frozen=True, slots=True)
class Journey:
    """What came of it.

    Attributes:
        scores: the answer, as the camera received it.
        places: everything that may be searched, by name.
    """

    scores: NDArray[Any]
    overheard: Overheard
    places: Mapping[str, bytes]


async def travel(folder: Path, classifier: Classifier, shot: Shot, *, private: bool, console: Console) -> Journey:
    """Start the nodes, put one frame to the model, stop them.

    Raises:
        MeshError: a command failed; says what it said.
        ValueError: the capture is not whole.
    """
    keys, desk = folder / "keys", folder / "desk"
    for place in (keys, desk):
        place.mkdir(parents=True)
    (desk / "model.onnx").write_bytes(classifier.model.SerializeToString())
    Image.fromarray(shot.picture).save(desk / "frame.png")
    with Capture() as capture:
        async with Fleet(DEVICES, folder, configure=_settings, environment=_environment) as fleet:
            await wait_met(fleet, within=_PATIENCE)
            console.print(
                f"Five devices have met. The frame is put to the model {'in private' if private else 'openly'}."
            )
            await (_ask_privately if private else _ask_openly)(fleet, desk)
    if capture.lost:
        raise ValueError(f"the kernel lost {capture.lost} packets of the capture")
    heard = overheard(capture.packets, DEVICES, keys)
    scores: NDArray[Any] = np.load(desk / "scores.npy")
    return Journey(scores.reshape(-1), heard, _places(folder, heard))


async def _ask_privately(fleet: Fleet, desk: Path) -> None:
    """The studio lends its model; the camera asks for it by its owner's name, and is the only one who is answered."""
    studio = next(machine for machine in fleet.machines if machine.name == STUDIO)
    how = ("--protocol", "private", "--fraction", str(FRACTION))
    await _mesh(STUDIO, desk, "models", "add", MODEL, desk / "model.onnx", *how)
    await _infer(desk, f"{MODEL}@{studio.peer}", "--mode", "private")


async def _ask_openly(_fleet: Fleet, desk: Path) -> None:
    """The camera has the model cut over the three others, who are sent what they compute on as it is."""
    await _mesh(CAMERA, desk, "models", "add", MODEL, desk / "model.onnx")
    await _infer(desk, MODEL, "--mode", "sharded", "--parts", "2", "-o", 'where="elsewhere"')


async def _infer(desk: Path, model: str, *how: str) -> None:
    await _mesh(CAMERA, desk, "infer", model, "--input", desk / "frame.png", "--out", desk / "scores.npy", *how)


async def _mesh(name: str, desk: Path, *words: str | Path) -> None:
    """One command on one device, as a person gives it. Raises MeshError with what it said."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("MESH_")}
    command = [sys.executable, "-P", "-m", "mesh", *map(str, words)]
    running = await asyncio.create_subprocess_exec(
        *command,
        env={**kept, "MESH_STATE": str(desk.parent / name), "OMP_NUM_THREADS": "1"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_PATIENCE):
            _, said = await running.communicate()
    except BaseException:
        running.kill()
        await running.wait()
        raise
    if running.returncode:
        raise MeshError(f"`mesh {' '.join(map(str, words))}` failed: {said.decode(errors='replace').strip()}")


def _settings(name: str, state: Path) -> NodeConfig:
    """Only the three have owners of their own, so nobody else computes; all say in their logs what they can."""
    config = msgspec.structs.replace(NodeConfig.loopback(state), log_level="debug")
    if name == STUDIO:
        return msgspec.structs.replace(config, offers=(f"{MODEL}=anyone",))
    return msgspec.structs.replace(config, owner=name) if name in PARTIES else config


def _environment(name: str, state: Path) -> Mapping[str, str]:
    """Keys of its connections go to us, and its temporary files where they are found again."""
    (state / "tmp").mkdir(parents=True, exist_ok=True)
    return {
        "PYTHONPATH": os.pathsep.join([str(Path(listening.__file__).parent), os.environ.get("PYTHONPATH", "")]),
        "EVIDENCE_KEYS": str(state.parent / "keys" / name),
        "TMPDIR": str(state / "tmp"),
        "HOME": str(state),
        "OMP_NUM_THREADS": "1",
    }


def _places(folder: Path, heard: Overheard) -> dict[str, bytes]:
    places = {"every link": heard.links}
    for name in PARTIES:
        places[f"sent to {name}, decrypted"] = heard.received[name]
    for name in (CAMERA, STUDIO):
        places[f"sent to {name}, decrypted"] = heard.received[name]
    for name in DEVICES:
        places[f"log of {name}"] = (folder / name / "log").read_bytes()
        places[f"files of {name}"] = files_of(folder / name)
    return places
