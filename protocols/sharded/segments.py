"""What a plan says of a model that was prepared for cutting: plain values, no bytes of it. Knows no ONNX."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ModelInfo", "SegmentInfo", "TensorInfo", "ValueInfo"]


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """An input or output of the whole model.

    Attributes:
        dtype: its numpy name, such as "float32".
        shape: a number is a fixed dimension, a word or "?" a free one; None leaves even their count free.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...] | None


@dataclass(frozen=True, slots=True)
class ValueInfo:
    """A value that crosses a cut between two segments.

    Attributes:
        size: bytes, as measured on the sample.
    """

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class SegmentInfo:
    """A run of nodes that is never cut further: one blob, and what holding and running it costs.

    Attributes:
        digest: SHA-256 of the blob, in hexadecimal.
        size: bytes of the blob.
        weights: bytes of the weights in it.
        scratch: bytes of values alive at once at its worst moment, those that only pass through included.
        multiply_adds: counted from the shapes of the sample; operators that do not multiply count one per element.
        seconds: its share of the least time that the whole model takes for one answer, on one thread of the device
            that prepared it.
        entering: what crosses the cut before it, as places in `ModelInfo.values`.
    """

    digest: str
    size: int
    weights: int
    scratch: int
    multiply_adds: int
    seconds: float
    entering: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A whole model as consecutive segments. Any run of them, joined, is a part that one device can hold.

    Cut `i` lies before segment `i`; cut 0 is where the model is fed, cut n where it answers.

    Attributes:
        inputs: in the model's own order, those that it does not use included.
        outputs: in the model's own order.
        values: everything that crosses some cut, each once.
        segments: first to last.
        speed: multiply-adds per second of the device that measured `SegmentInfo.seconds`, by the same benchmark
            that every device runs. seconds * speed / (another device's speed) predicts the time there.
    """

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    values: tuple[ValueInfo, ...]
    segments: tuple[SegmentInfo, ...]
    speed: float

    @property
    def multiply_adds(self) -> int:
        return sum(segment.multiply_adds for segment in self.segments)

    def crossing(self, cut: int) -> tuple[str, ...]:
        """Names of what crosses a cut, which is also what a part that ends there is asked to `keep`."""
        if cut == len(self.segments):
            return tuple(output.name for output in self.outputs)
        return tuple(self.values[place].name for place in self.segments[cut].entering)

    def crossing_bytes(self, cut: int) -> int:
        """Bytes that cross a cut for each answer, as measured on the sample. The last cut's are the outputs' own."""
        if cut < len(self.segments):
            return sum(self.values[place].size for place in set(self.segments[cut].entering))
        names = set(self.crossing(cut))
        return sum(value.size for value in self.values if value.name in names)
