"""One loaded version of a model: prepare columns, launch the call, wait for the scores."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from stream_infer.errors import Reject, Stop, StreamInferError
from stream_infer.model.device import Call, Device, Flight, Landed
from stream_infer.model.faults import DeviceLost, InferenceFailed, OutOfDeviceMemory, RowCap, is_out_of_memory
from stream_infer.model.formats.network import cause
from stream_infer.model.inputs import example_inputs, pad, read_inputs
from stream_infer.model.manifest import Manifest
from stream_infer.model.outputs import BadOutput, score
from stream_infer.model.scored import Scored
from stream_infer.model.weights import Weights

# TorchScript optimises in its second call, and a CUDA graph is captured in its first.
WARM_CALLS: Final = 3


@dataclass(frozen=True, slots=True)
class Facts:
    """What only a call shows: numbers that the model gives a row, whether it writes to its inputs, memory it took.

    `peak_memory_bytes` is the most that loading and calling it took, of the device it was on.
    """

    width: int
    writes_inputs: bool
    peak_memory_bytes: int


@dataclass(frozen=True, slots=True)
class Prepared:
    """Rows of a batch that fit the model's inputs.

    `rows` are their numbers in the columns that were given, ascending; `rejects` names each other row once; `tensors`
    are in host memory, padded to a batch size that the version takes.
    """

    rows: NDArray[np.int64]
    rejects: tuple[Reject, ...]
    tensors: tuple[torch.Tensor, ...]

    @property
    def padded_rows(self) -> int:
        """Rows that the model is called with, padding counted."""
        return len(self.tensors[0])


@dataclass(frozen=True, slots=True)
class PreparedBatches:
    """Rows that fit the model's inputs, cut into batches: as `Prepared`, for all batches together."""

    rows: NDArray[np.int64]
    rejects: tuple[Reject, ...]
    batches: tuple[Prepared, ...]


@dataclass(frozen=True, slots=True)
class Rowbound:
    """How many rows a version may be called with: one of `sizes` if there are any, else `low` to `high`."""

    low: int = 1
    high: int | None = None
    sizes: tuple[int, ...] = ()

    def padded(self, rows: int) -> int:
        """Return how many rows a batch of `rows` is padded to. Raises ValueError when it is too large."""
        if self.high is not None and rows > self.high:
            raise ValueError(f"a batch has {rows} rows, expected at most {self.high}")
        return next((size for size in self.sizes if size >= rows), max(rows, self.low))


class Pending:
    """A call under way."""

    def __init__(self, flight: Flight, *, rows: int, version: "LoadedVersion") -> None:
        self._flight = flight
        self._rows = rows
        self._version = version
        self._scored: Scored | None = None

    def done(self) -> bool:
        """Whether the scores can be had without waiting."""
        return self._scored is not None or self._flight.done()

    def result(self) -> Scored:
        """Wait for the scores, one row for each of `Prepared.rows`; raises as `LoadedVersion.launch` does."""
        if self._scored is None:
            self._scored = score(self.output(), self._version.manifest.outputs)
        return self._scored

    def output(self) -> NDArray[np.floating]:
        """Wait for the activated output, shape (rows, k), float32 or float64; raises as `result` does."""
        try:
            output = self._flight.result()
        except Exception as error:  # whatever the model's code raises
            raise self._version.failure(error, rows=self._rows) from error
        answer: NDArray[np.floating] = output.numpy()[: self._rows]
        width = self._version.width or answer.shape[1]
        if answer.shape[1] != width:
            found = BadOutput(f"it returned {answer.shape[1]} numbers a row, expected {width} as when it was tried")
            raise self._version.failure(found, rows=self._rows)
        return answer


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LoadedVersion:
    """A version whose files are checked and whose model is on its device.

    `digest` is the SHA-256 of its manifest. `max_batch_size` is None where nothing limits it; `allowed_batch_sizes` is
    empty where every size is. `precision` is the type that floating inputs are brought to, None for the manifest's.
    `cap` limits batches further once memory was too small for one.
    """

    name: str
    version: str
    digest: str
    manifest: Manifest
    device: Device
    call: Call
    bound: Rowbound
    weights: Weights
    width: int = 0
    precision: torch.dtype | None = None
    writes_inputs: bool = False
    cap: RowCap = field(default_factory=RowCap)

    @property
    def weight_bytes(self) -> int:
        """Memory of the weights; 0 once they are released."""
        return self.weights.size_bytes

    @property
    def max_batch_size(self) -> int | None:
        """Most rows of one batch."""
        return min((most for most in (self.bound.high, self.cap.rows) if most is not None), default=None)

    @property
    def allowed_batch_sizes(self) -> tuple[int, ...]:
        """Sizes that batches are padded to, ascending."""
        return self.bound.sizes

    @property
    def fields(self) -> tuple[str, ...]:
        """Input fields that `prepare` reads, dotted paths."""
        return self.manifest.fields

    @property
    def labels(self) -> tuple[str, ...] | None:
        """Names of the classes."""
        return self.manifest.outputs.labels

    def prepare(self, columns: pa.RecordBatch) -> Prepared:
        """Return the rows that fit the model's inputs, as tensors.

        The tensors may share memory with the columns, which must not be overwritten before the result is there.
        Raises Stop for a field that the columns lack, ValueError for more rows than the model takes.
        """
        inputs = read_inputs(columns, self.manifest.inputs, precision=self.precision)
        return Prepared(inputs.rows, inputs.rejects, self._padded(inputs.tensors))

    def prepare_batches(self, columns: pa.RecordBatch, *, batch_size: int) -> PreparedBatches:
        """Return the rows that fit the model's inputs, as tensors of up to `batch_size` rows; see `prepare`."""
        inputs = read_inputs(columns, self.manifest.inputs, precision=self.precision)
        starts = range(0, len(inputs.rows), batch_size)
        parts = [inputs] if len(starts) == 1 else [inputs.part(start, start + batch_size) for start in starts]
        batches = tuple(Prepared(part.rows, (), self._padded(part.tensors)) for part in parts)
        return PreparedBatches(inputs.rows, inputs.rejects, batches)

    def launch(self, prepared: Prepared) -> Pending:
        """Start the call on the device; on a CPU it is over when this returns.

        Raises InferenceFailed, or OutOfDeviceMemory, when the model fails at once, and DeviceLost when the device is
        past helping.
        """
        return Pending(self._launch(prepared.tensors, len(prepared.rows)), rows=len(prepared.rows), version=self)

    def collect(self, calls: Sequence[Pending]) -> Scored:
        """Wait for calls of this version, and score what they returned as one; raises as `launch` does."""
        if len(calls) == 1:
            return calls[0].result()
        return score(np.concatenate([call.output() for call in calls]), self.manifest.outputs)

    def warm(self, batch_size: int) -> None:
        """Call the model once on zeros at the size that a batch of `batch_size` is padded to, and wait for it.

        Belongs on the thread that launches: CUDA and TorchScript keep state per thread. Raises as `launch` does.
        """
        tensors = example_inputs(self.manifest.inputs, self.bound.padded(batch_size), precision=self.precision)
        Pending(self._launch(tensors, batch_size), rows=batch_size, version=self).result()

    def warm_sizes(self, batch_size: int, live_rows: int) -> tuple[int, ...]:
        """Return the calls of `warm` to make, in order, before this version serves batches of up to `batch_size`.

        CUDA chooses kernels and captures graphs for each size. A processor needs none of that, and a call there holds
        up the live version: none is larger than its last batch, of `live_rows`.
        """
        largest = min(batch_size, self.max_batch_size or batch_size)
        if self.device.torch_device.type == "cpu":
            sizes = {1, max(1, min(live_rows, largest))}
        else:
            sizes = {1, largest, *(size for size in self.allowed_batch_sizes if size <= largest)}
        return tuple(size for size in sorted(sizes) for _ in range(WARM_CALLS))

    def release(self) -> None:
        """Give the memory back, whoever still holds this object; calls raise Stop from now on."""
        self.weights.release()

    def failure(self, error: Exception, *, rows: int) -> StreamInferError:
        """Return the error that says what the model raised for a batch of `rows`, and whose fault it is.

        Whether the device is lost is asked of the device, because the texts of such errors are many.
        """
        said = f"model {self.name} version {self.version} failed on a batch of {rows}: {cause(error)}"
        if not self.device.is_usable():
            return DeviceLost(f"{said}; the device {self.device.torch_device} fails whatever it is asked since")
        return OutOfDeviceMemory(said) if is_out_of_memory(error) else InferenceFailed(said)

    def cap_below(self, failed_rows: int) -> bool:
        """Let no batch be larger than half of one that memory did not hold; whether that is news.

        A smaller one that is padded to the same size would need as much.
        """
        return self.cap.lower(self.bound.padded((failed_rows + 1) // 2))

    def _padded(self, tensors: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        rows = len(tensors[0])
        return pad(tensors, self.bound.padded(rows)) if rows else tensors

    def _launch(self, tensors: tuple[torch.Tensor, ...], rows: int) -> Flight:
        if self.weights.is_released:
            raise Stop(f"model {self.name} version {self.version} was released and is called, expected another one")
        if not rows:
            return Landed(torch.empty((0, self.width)))
        try:
            # Tensors made outside keep counting writes, which inference tensors do not; see `load.py`.
            given = tuple(tensor.clone() for tensor in tensors) if self.writes_inputs else tensors
            with torch.inference_mode():
                return self.device.launch(self.call, self.device.stage(given))
        except Exception as error:  # whatever the model's code raises
            raise self.failure(error, rows=rows) from error
