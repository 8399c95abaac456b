"""What the devices of private training say to each other, and what each word gives away."""

from __future__ import annotations

from typing import Literal

from mesh.messages import Message, message
from protocols.smpc import words

__all__ = [
    "HANDING", "VOCABULARY", "Deliver", "Finish", "Go", "Held", "Kept", "Lines", "Passed", "Piece", "Resume", "Salt",
    "Standing", "Table",
]  # fmt: skip


@message("private-training.key", reveals="a key for masks, to one of the two other parties; the third never has it")
class Key(words.Key, frozen=True):
    """What we two draw our common masks from: 32 bytes."""


@message("private-training.door", reveals="the port at which this party's box waits for the two others")
class Door(words.Door, frozen=True):
    """My box listens there; and 16 fresh bytes, of which all three make the name of their session."""


@message("private-training.seeds", reveals="nothing: what shares are drawn from that are independent of all data")
class Seeds(words.Seeds, frozen=True):
    """For each share that this party draws by itself, by the share's number: 32 bytes."""


@message("private-training.share", reveals="nothing: the third share of each number, uniform to who has but one other")
class Share(words.Share, frozen=True):
    """A piece of an owner's data, as ring elements of 64 bits; none for the party that draws both of its shares."""


@message("private-training.taken", reveals="that this party has taken in a piece of the data")
class Taken(words.Taken, frozen=True):
    """Send me the next piece."""


@message("private-training.salt", reveals="nothing: 32 random bytes, from the first owner of columns to the others")
class Salt(Message, frozen=True):
    """Mix this into the digest of your rows' ids. The parties never have it."""

    salt: bytes


@message(
    "private-training.lines",
    reveals="to the other owners of columns: whether they have the same ids in the same order; whoever can guess all of"
    " them at once can check the guess",
)
class Lines(Message, frozen=True):
    """SHA-256 over the salt and the ids of my rows, in order."""

    digest: bytes


@message(
    "private-training.table",
    reveals="how many rows and columns an owner has, and whether its data are what they were in an earlier run; or that"
    " they cannot be used, and whether that is because rows are not aligned",
)
class Table(Message, frozen=True):
    """The size of what I hand in, and a digest of it under a key that only I have; or, to who asks, what is wrong."""

    rows: int
    columns: int
    fingerprint: bytes
    trouble: Literal["", "unusable", "unaligned"]


@message(
    "private-training.standing",
    reveals="at which steps this party has checkpoints under this job's name, and whether they are of this very job",
)
class Standing(Message, frozen=True):
    """I have my shares of the data; and for each step that I have a checkpoint of, the session it was made in.

    `strange` says that what I keep under the name is of other data, other parties or other settings.
    """

    session: str
    checkpoints: dict[int, str]
    strange: bool
    seconds: float


@message("private-training.resume", reveals="the last step that all three parties have a checkpoint of")
class Resume(Message, frozen=True):
    """Go on after this step, which you have from that session; 0 is to begin."""

    step: int
    session: str


@message("private-training.go", reveals="how far the asking device wants the training to go on")
class Go(Message, frozen=True):
    """Train until so many steps are done; then, if that is wanted, send the model to its receivers and keep it."""

    until: int
    deliver: bool


@message(
    "private-training.passed",
    reveals="how far the training is and what it took; and the loss of one batch, once all three have sent theirs,"
    " where every owner of data agreed to that",
)
class Passed(Message, frozen=True):
    """So many steps are done: seconds, bytes to the two others and rounds since the last time.

    `words` is my first share of the loss before the last of these steps and `check` the SHA-256 of my second; both are
    empty where no loss is to be told.
    """

    step: int
    seconds: float
    sent: int
    rounds: int
    words: memoryview
    check: bytes


@message("private-training.kept", reveals="to the two others: that this party has a checkpoint of a step")
class Kept(Message, frozen=True):
    """My shares of the state after this step are on my disk: go on once all three of us have said so."""

    step: int


@message("private-training.deliver", reveals="to a receiver: that the training is over, and of how many columns it was")
class Deliver(Message, frozen=True):
    """The three are about to send you the model, which takes so many columns."""

    columns: int


@message(
    "private-training.piece",
    reveals="the model, to a receiver that the plan names, once all three parties have sent theirs",
)
class Piece(Message, frozen=True):
    """Of my first share of all weights, the next; and the SHA-256 of the same piece of my second."""

    words: memoryview
    check: bytes


@message("private-training.held", reveals="to who asked: that this device has the model, or its shares of it")
class Held(Message, frozen=True):
    """I have it, and it is kept."""


@message("private-training.finish", reveals="nothing")
class Finish(Message, frozen=True):
    """I need you no more."""


HANDING = words.Handing(key=Key, door=Door, seeds=Seeds, share=Share, taken=Taken)

VOCABULARY: tuple[type[Message], ...] = (
    Key, Door, Seeds, Share, Taken, Salt, Lines, Table, Standing, Resume, Go, Passed, Kept, Deliver, Piece, Held,
    Finish,
)  # fmt: skip
