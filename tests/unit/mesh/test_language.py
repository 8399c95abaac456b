"""What goes through the control door comes out as it went in."""

from __future__ import annotations

import pytest

import mesh.errors
from mesh.blobs import BlobRef
from mesh.doors.language import (
    Event,
    Failed,
    Fault,
    JobOrder,
    Open,
    Opened,
    Parcel,
    PlanLost,
    Progress,
    Refused,
    decode,
    encode,
    plain,
)
from mesh.doors.orders import job_of, serving_job
from mesh.errors import BadInput, Busy, MeshError, Misuse, PeerError, PeerLost
from mesh.store.catalogue import Manifest
from protocols.echo import Echo, EchoSpec

ERRORS = [getattr(mesh.errors, name) for name in mesh.errors.__all__ if name[0].isupper()]


def made(kind: type[MeshError]) -> MeshError:
    if issubclass(kind, PeerError):
        return kind("abcdefgh", "It went away.")
    return Busy("Too much.", 2.5) if issubclass(kind, Busy) else kind("Something is wrong.")


@pytest.mark.parametrize("kind", ERRORS)
def test_every_error_is_the_same_on_the_other_side(kind: type[MeshError]) -> None:
    """Class, sentence, and what hangs on it: a program handles a node's errors as a node does."""
    error = made(kind)
    fault: Fault = decode(encode(Fault.of(error)), Fault)
    back = fault.raised()
    assert (type(error), str(error), vars(error)) == (type(back), str(back), vars(back))
    assert error.retry == fault.retry


@pytest.mark.parametrize("name", ["Newer", "first_error", "annotations", "ClassVar"])
def test_an_error_that_this_side_does_not_know_is_a_mesh_error(name: str) -> None:
    """A newer node may know more ways to fail."""
    assert MeshError is type(Fault(name, "x").raised())


@pytest.mark.parametrize(
    "event",
    [
        Opened(),
        Failed(Fault("NoPlan", "x")),
        Refused(3, Fault("BadInput", "y")),
        PlanLost(Fault("PeerLost", "z"), 2),
        Progress("Loaded", {"seconds": 1.5}),
    ],
)
def test_events_are_told_apart(event: Event) -> None:
    """Each carries what it is."""
    assert event == decode(encode(event), Event)


def test_reports_become_plain_fields() -> None:
    """Dataclasses, structs and errors alike."""
    assert {"error": "PeerLost", "message": "abc: gone", "retry": True, "peer": "abc", "reason": "gone"} == plain(
        PeerLost("abc", "gone")
    )
    assert {"text": "hello"} == plain(EchoSpec("hello"))


def test_what_is_not_plain_does_not_pass() -> None:
    """An object of unknown kind is our own bug, told as such."""
    with pytest.raises(Misuse, match="control door"):
        encode({"thing": object()})


def test_a_job_is_built_from_plain_fields() -> None:
    """Typed by its protocol's spec."""
    job = job_of(JobOrder(protocol="echo", spec={"text": "hello"}, deadline=3.0), [Echo()])
    assert ("echo", EchoSpec("hello"), 3.0) == (job.protocol, job.spec, job.deadline)


@pytest.mark.parametrize(
    ("order", "named"),
    [
        (JobOrder(protocol="nope"), "It runs: echo"),
        (JobOrder(protocol="echo", spec={"text": 1}), "text"),
        (JobOrder(protocol="echo", spec={}), "text"),
        (JobOrder(protocol="echo", spec={"text": "x", "loud": True}), "knows no 'loud': it takes text"),
        (JobOrder(protocol="echo", spec={"text": "x"}, deadline=0), "deadline"),
        (JobOrder(protocol="echo", spec={"text": "x"}, deadline=float("nan")), "deadline"),
    ],
)
def test_a_wrong_job_is_the_persons_fault(order: JobOrder, named: str) -> None:
    """The sentence says which field."""
    with pytest.raises(BadInput, match=named):
        job_of(order, [Echo()])


def test_a_models_own_fields_give_way_to_those_of_the_order() -> None:
    """What the model decides is a default."""
    manifest = Manifest("m", "echo", BlobRef.of(b""), (), (), (), {"text": "the model's"})
    assert EchoSpec("the model's") == serving_job(Open(model="m"), manifest, [Echo()]).spec
    order = Open(model="m", options={"text": "mine"})
    assert EchoSpec("mine") == serving_job(order, manifest, [Echo()]).spec
    with pytest.raises(BadInput, match="backlog"):
        serving_job(Open(model="m", backlog=0), manifest, [Echo()])


def test_a_parcel_is_small_around_its_tensors() -> None:
    """A request costs a few bytes besides its content."""
    import msgspec

    assert len(msgspec.msgpack.encode(Parcel(1, {}))) <= 4
