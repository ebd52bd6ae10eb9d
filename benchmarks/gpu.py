"""Networks on a CUDA device, the way the worker calls them: `make bench-gpu`. Without a device it says so.

Calls are staged, launched and waited for through `stream_infer.model`, two at a time, from host memory to host memory;
there is no Kafka. The swap is a load of another version of 1 GB on a second thread, as the worker does it.
"""

import argparse
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from benchmarks import report
from benchmarks.embedded import write_versions
from benchmarks.ground import numbers, parser, publish, repeat, say
from benchmarks.networks import NETWORKS, rows_of, write_network
from stream_infer.model import Device, LoadedVersion, OutOfDeviceMemory, Pending, Prepared, load_version, open_device

NOTHING = "torch finds no CUDA device here: nothing was measured"
IN_FLIGHT = 2
WARM_CALLS = 10
SWAPPED_BYTES = 1_000_000_000
HEAD = ["model", "batch", "events/s", "device busy", "p50 ms", "p99 ms", "p99 in a swap of 1 GB ms"]
Stop = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Row:
    """One network at one batch size; times are of a call, from its launch to its scores, in milliseconds.

    `busy` is the time that calls alone take on the device as a share of wall time. `swap_p99_ms` is None where memory
    does not hold both versions. None everywhere: memory does not hold the batch.
    """

    title: str
    batch: int
    events_per_s: float | None = None
    busy: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    swap_p99_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Called:
    """Many calls: how long each took, and all of them together."""

    call_ms: Sequence[float]
    wall_s: float

    def quantile(self, fraction: float) -> float:
        """Return the milliseconds that this share of calls took at most."""
        return float(np.quantile(self.call_ms, fraction))


def parse() -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--models", default=",".join(NETWORKS))
    made.add_argument("--sizes", default="64,512,4096", help="of batches, separated by commas")
    made.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    return made.parse_args()


def prepared(name: str, rows: int) -> Prepared:
    """Return a batch as `LoadedVersion.prepare` makes it of columns."""
    return Prepared(np.arange(rows), (), (rows_of(name, rows),))


def call_until(version: LoadedVersion, batch: Prepared, stop: Stop) -> Called:
    """Call again and again, with two calls under way, until `stop` says so."""
    under_way: deque[tuple[float, Pending]] = deque()
    taken: list[float] = []
    begun_s = time.perf_counter()
    while not stop() or not taken:
        under_way.append((time.perf_counter(), version.launch(batch)))
        if len(under_way) == IN_FLIGHT:
            taken.append(_finish(*under_way.popleft()))
    taken += [_finish(*one) for one in under_way]
    return Called(taken, time.perf_counter() - begun_s)


def _finish(launched_s: float, pending: Pending) -> float:
    pending.result()
    return (time.perf_counter() - launched_s) * 1000


def after(seconds: float) -> Stop:
    """Return what says when so many seconds are over."""
    end_s = time.monotonic() + seconds
    return lambda: time.monotonic() > end_s


def alone_ms(version: LoadedVersion, batch: Prepared) -> float:
    """Return the milliseconds that a call takes on the device, its input being there."""
    tensors = tuple(tensor.to(version.device.torch_device) for tensor in batch.tensors)
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    with torch.inference_mode():
        version.call(*tensors)
        begin.record()
        for _ in range(WARM_CALLS):
            version.call(*tensors)
        end.record()
    version.device.settle()
    return float(begin.elapsed_time(end)) / WARM_CALLS


def in_swap(version: LoadedVersion, batch: Prepared, *, other: Path) -> float | None:
    """Return the p99 of calls while another version is loaded; None when memory does not hold it."""
    failed: list[BaseException] = []

    def load() -> None:
        try:
            load_version(other, device=open_device("cuda"), batch_size=len(batch.rows)).release()
        except Exception as error:  # noqa: BLE001 - told to the thread that calls
            failed.append(error)

    loading = threading.Thread(target=load)
    loading.start()
    called = call_until(version, batch, lambda: not loading.is_alive())
    loading.join()
    if failed:
        say(f"the version of 1 GB could not be loaded beside: {failed[0]}")
        return None
    return called.quantile(0.99)


def measure(name: str, rows: int, version: LoadedVersion, *, other: Path, seconds: float) -> Row:
    """Measure one network at one batch size."""
    row = Row(NETWORKS[name].title, rows)
    batch = prepared(name, rows)
    try:
        for _ in range(WARM_CALLS):
            version.launch(batch).result()
        called = call_until(version, batch, after(seconds))
        busy_s = alone_ms(version, batch) * len(called.call_ms) / 1000
        return replace(
            row,
            events_per_s=rows * len(called.call_ms) / called.wall_s,
            busy=min(1.0, busy_s / called.wall_s),
            p50_ms=called.quantile(0.5),
            p99_ms=called.quantile(0.99),
            swap_p99_ms=in_swap(version, batch, other=other),
        )
    except OutOfDeviceMemory as error:
        say(str(error))
        return row


def session(options: argparse.Namespace, device: Device, folder: Path) -> list[Row]:
    """Measure every network at every size."""
    (other,) = write_versions(folder / "swapped", {"1": 1}, kind="export", size_bytes=SWAPPED_BYTES)
    rows: list[Row] = []
    for name in options.models.split(","):
        made = write_network(name, folder / "models")
        version = load_version(made.where, device=device, batch_size=min(numbers(options.sizes)))
        for size in numbers(options.sizes):
            rows.append(measure(name, size, version, other=other.path, seconds=options.seconds))
            say(" ".join(cells(rows[-1])))
        version.release()
    return rows


def cells(row: Row) -> list[str]:
    if row.events_per_s is None or row.busy is None:
        return [row.title, f"{row.batch:,}", "out of memory", "", "", "", ""]
    times = (row.p50_ms, row.p99_ms, row.swap_p99_ms)
    shown = ["" if one is None else f"{one:.2f}" for one in times]
    return [row.title, f"{row.batch:,}", f"{row.events_per_s:,.0f}", f"{row.busy:.0%}", *shown]


def main() -> None:
    options = parse()
    if not torch.cuda.is_available():
        print(NOTHING)
        return
    with tempfile.TemporaryDirectory() as folder:
        rows = session(options, open_device("cuda"), Path(folder))
    about = report.machine("not used", busy_percent=0.0) | {"device": torch.cuda.get_device_name()}
    head = "Calls through the worker's own device code, two at a time, from host memory to host memory; no Kafka."
    text = "\n".join([head, "", *report.table(HEAD, *map(cells, rows)), "", report.origin(about, repeat("bench-gpu"))])
    publish("gpu", text, {"about": about, "rows": rows}, options=options, command="gpu")


if __name__ == "__main__":
    main()
