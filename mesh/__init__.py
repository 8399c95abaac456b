"""A mesh of devices that run models together. What most programs need is here; nothing is loaded before it is used.

import mesh

with mesh.blocking.connect() as node:
    answer = node.infer("junction", {"image": array}, mode="sharded")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mesh import blocking
    from mesh.client import Client, connect
    from mesh.errors import MeshError
    from mesh.group import Group
    from mesh.messages import Message, message
    from mesh.node import Node
    from mesh.protocol import Candidate, Device, Job, Plan, Protocol, Stage
    from mesh.tensors import Tensor

__all__ = [
    "Candidate",
    "Client",
    "Device",
    "Group",
    "Job",
    "MeshError",
    "Message",
    "Node",
    "Plan",
    "Protocol",
    "Stage",
    "Tensor",
    "blocking",
    "connect",
    "message",
]

_HOMES = {
    "Candidate": "mesh.protocol",
    "Client": "mesh.client",
    "Device": "mesh.protocol",
    "Group": "mesh.group",
    "Job": "mesh.protocol",
    "MeshError": "mesh.errors",
    "Message": "mesh.messages",
    "Node": "mesh.node",
    "Plan": "mesh.protocol",
    "Protocol": "mesh.protocol",
    "Stage": "mesh.protocol",
    "Tensor": "mesh.tensors",
    "connect": "mesh.client",
    "message": "mesh.messages",
}


def __getattr__(name: str) -> Any:
    if name == "blocking":
        return import_module("mesh.blocking")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'mesh' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
