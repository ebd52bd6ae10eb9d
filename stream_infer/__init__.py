"""stream-infer: a PyTorch model on a Kafka stream.

The folder reads as the path of the data; imports point from the end of this list to its beginning.

    errors        what can go wrong, whose fault it is and what happens next
    records       what travels between the steps: raw records, their positions, batches
    packed        byte strings in one buffer
    clock         the one place that asks for the time
    settings/     the options: where they are read, what they may be
    metrics/      every metric, declared once
    tracing/      trace context in headers, spans of batches
    logs/         one JSON object a line, or a line for a person; what repeats is counted

    avro/         bytes to columns and back: framing, schemas, a fast decoder and the reference
    model/        one model version's life: manifest, repository, load, run
    pipeline/     the data's path, a file a step: decode, batch, infer, encode, reject, produce, commit
    rollout/      which version should serve: control records, what to do about them, canaries, an operator's words
    transport/    bytes from Kafka and to it: the Faust plug-in, the consumer thread, rebalances
    web/          probes and the metrics page
    scoring       the steps of the path, put together from the settings
    gauges        what the metrics page reads of a worker
    verifying     what a version must pass before a process loads it
    loading       a version from where it lies to the compute thread's door, on a thread of its own
    steering      what follows the control topic and tells the status topic, on a thread of its own
    worker        one scoring worker: its threads, its state, why it stopped
    app           the worker inside a Faust app; Faust finds `app` here

    demo/         the main job on real rows, on a broker inside the process
    cli/          the command `stream-infer`, a file a command group
    __main__      the same as `python -m stream_infer`
    testing/      what tests and benchmarks need: fakes, small models, a real Kafka
"""

from typing import Any

__version__ = "0.1.0"


def mount(app: Any, settings: Any) -> Any:
    """Put the scoring worker into a Faust app of your own; see `stream_infer.app.mount`, which this imports."""
    from stream_infer import app as wiring  # noqa: PLC0415 - whoever asks for the version alone must not load torch

    return wiring.mount(app, settings)
