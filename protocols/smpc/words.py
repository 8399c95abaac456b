"""What the devices of a private session say to each other, and what each word gives away."""

from __future__ import annotations

from dataclasses import dataclass

from mesh.messages import Message, message

__all__ = [
    "VOCABULARY", "Clear", "Door", "Finish", "OURS", "Handing", "Key", "Ready", "Received", "Result", "Seeds", "Share",
    "Spent", "Taken", "Use",
]  # fmt: skip


@message("private.key", reveals="a key for masks, to one of the two other parties; the third never has it")
class Key(Message, frozen=True):
    """What we two draw our common masks from: 32 bytes."""

    key: bytes


@message("private.door", reveals="the port at which this party's box waits for the two others")
class Door(Message, frozen=True):
    """My box listens there; and 16 fresh bytes, of which all three make the name of their session."""

    port: int
    nonce: bytes


@message("private.seeds", reveals="nothing: what shares are drawn from that are independent of every secret")
class Seeds(Message, frozen=True):
    """For each share that this party draws by itself, by the share's number: 32 bytes; and for which plan they are."""

    seeds: dict[int, bytes]
    agreed: str


@message("private.share", reveals="nothing: the third share of each number, uniform to whoever has but one other")
class Share(Message, frozen=True):
    """A piece of what is secret, as ring elements of 64 bits; none for the party that draws both of its shares."""

    batch: int
    words: memoryview


@message("private.clear", reveals="what the job says is no secret: the model or the input")
class Clear(Message, frozen=True):
    """A piece of what is not secret, eight bytes a number."""

    batch: int
    words: memoryview


@message("private.taken", reveals="that this party has taken in a piece of the model")
class Taken(Message, frozen=True):
    """Send me the next piece."""


@message("private.ready", reveals="how long getting ready took, and which answers this party keeps for who asks")
class Ready(Message, frozen=True):
    """I can compute; getting there took so many seconds. And what I keep of what this job goes on with.

    Attributes:
        session: what the three of us call our session.
        kept: by name, the session of each answer, by its number.
    """

    seconds: float
    session: str
    kept: dict[str, dict[int, str]]


@message("private.use", reveals="which of its own kept answers the asking device goes on with")
class Use(Message, frozen=True):
    """For this batch, take answer so-and-so of those that you keep for me, by the input that it is to be."""

    batch: int
    numbers: dict[str, int]


@message("private.result", reveals="the answer to one request, to a named receiver, once all three parties sent theirs")
class Result(Message, frozen=True):
    """My first share of every output of request `seq`, and the SHA-256 of my second."""

    seq: int
    words: memoryview
    check: bytes


@message("private.spent", reveals="to who asked: that a request is computed, and how long and how much it took")
class Spent(Message, frozen=True):
    """Request `seq` is computed, and its shares are sent or kept: seconds, bytes to the two others, and rounds."""

    seq: int
    seconds: float
    sent: int
    rounds: int


@message("private.received", reveals="to who asked: that a receiver has an answer, and not what it says")
class Received(Message, frozen=True):
    """I have the answer to request `seq`, and all three parties agreed on it."""

    seq: int


@message("private.finish", reveals="nothing")
class Finish(Message, frozen=True):
    """I need you no more."""


@dataclass(frozen=True, slots=True)
class Handing:
    """The words with which owners hand in shares and parties meet.

    A protocol of another name has words of its own: it derives a class from each of these, declares it under that name,
    and gives the derived ones here.
    """

    key: type[Key] = Key
    door: type[Door] = Door
    seeds: type[Seeds] = Seeds
    share: type[Share] = Share
    clear: type[Clear] = Clear
    taken: type[Taken] = Taken


OURS = Handing()
"""Those of private inference."""

VOCABULARY: tuple[type[Message], ...] = (
    Key, Door, Seeds, Share, Clear, Taken, Ready, Use, Result, Spent, Received, Finish,
)  # fmt: skip
