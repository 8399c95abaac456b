"""From what a person asks for, in plain fields, to a job that a node can do. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from mesh.doors.language import JobOrder, Open, typed
from mesh.errors import BadInput
from mesh.protocol import Job, Protocol
from mesh.store.catalogue import Manifest

__all__ = ["job_of", "serving_job"]

_LONGEST = 86_400.0
"""Seconds that a job may take at most: a day."""

_BACKLOG = 1024


def job_of(order: JobOrder, protocols: Iterable[Protocol[Any, Any, Any]]) -> Job:
    """The job.

    Raises:
        BadInput: no such protocol here, a field that its spec lacks or has of another type, or an endless deadline.
    """
    known = {protocol.name: protocol for protocol in protocols}
    if order.protocol not in known:
        names = ", ".join(sorted(known)) or "none"
        raise BadInput(f"This node runs no protocol {order.protocol[:80]!r}. It runs: {names}.")
    if not 0 < order.deadline <= _LONGEST:
        raise BadInput(f"A deadline of {order.deadline:g} s makes no sense: use up to {_LONGEST:g}.")
    return Job(order.protocol, _spec(known[order.protocol], order.spec), order.deadline)


def serving_job(order: Open, manifest: Manifest, protocols: Iterable[Protocol[Any, Any, Any]]) -> Job:
    """The job of serving a model. Raises BadInput as `job_of`, or if the backlog makes no sense."""
    if not 1 <= order.backlog <= _BACKLOG:
        raise BadInput(f"A backlog of {order.backlog} makes no sense: use 1 to {_BACKLOG}.")
    spec = {**manifest.spec, **order.options}
    return job_of(JobOrder(protocol=manifest.protocol, spec=spec, deadline=order.deadline), protocols)


def _spec(protocol: Protocol[Any, Any, Any], fields: Mapping[str, Any]) -> Any:
    known = [field.name for field in dataclasses.fields(protocol.spec)]
    if unknown := [name for name in fields if name not in known]:
        raise BadInput(f"{protocol.name} knows no {unknown[0][:80]!r}: it takes {', '.join(known)}.")
    try:
        return msgspec.convert(fields, protocol.spec, dec_hook=typed)
    except msgspec.ValidationError as error:
        raise BadInput(f"{protocol.name}: {error}.") from error
