"""The main job, start to end: devices meet, share a model, answer frames, lose one of their number, and go on."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mesh.client import Client, connect
from mesh.doors.language import PlanLost, PlanUp, Progress
from mesh.errors import DeadlinePassed, MeshError, NoNode, first_error
from mesh.tensors import Tensors
from scenarios.demo.figures import Tally, Times
from scenarios.demo.fleet import Fleet, Machine
from scenarios.demo.oracle import Oracle
from scenarios.demo.report import DeviceUse, Found, LinkUse, Outcome, PartView, Seen
from scenarios.demo.screen import Screen
from scenarios.demo.sources import Shot
from scenarios.junction.boxes import Box
from scenarios.junction.detectors import Detector
from scenarios.junction.score import Score

__all__ = ["Script", "tell", "wait_met"]

MODEL = "detector"
PARTS = 3

GIGABIT = 1.25e8
"""Bytes per second between the devices, for the planner. On one machine every byte costs the processors that compute:
planned for a faster network than this, the same detector comes out slower."""


async def _traffic(fleet: Fleet) -> Traffic:
    counted: Traffic = {}
    for machine in fleet.machines:
        if machine.alive:
            async with connect(machine.socket) as node:
                traffic = (await node.status()).traffic
            counted[machine.name] = {fleet.named(peer).name: (t.sent, t.received) for peer, t in traffic.items()}
    return counted


def _links(fleet: Fleet, before: Traffic, after: Traffic) -> list[LinkUse]:
    """Bytes from each device to each other one. Those of a device that is gone are told by whoever heard them."""

    def crossed(counted: Traffic, source: str, target: str) -> int:
        if source in after:
            return counted[source].get(target, (0, 0))[0]
        return counted[target].get(source, (0, 0))[1] if target in after else 0

    names = [machine.name for machine in fleet.machines]
    links = [LinkUse(a, b, crossed(after, a, b) - crossed(before, a, b)) for a in names for b in names if a != b]
    return [link for link in links if link.bytes]


def _found(score: Score) -> list[Found]:
    return [
        Found(label, tally.precision, tally.recall, tally.found + tally.missed)
        for label, tally in sorted(score.labels.items())
    ]
