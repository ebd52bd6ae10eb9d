"""Where figures go: JSON for machines, and sections of docs/benchmarks.md for people."""

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

LIBRARIES = ("confluent-kafka", "faust-streaming", "aiokafka", "torch", "pyarrow", "pyruhvro")
CPU_INFO = Path("/proc/cpuinfo")


def machine(kafka: str, *, busy_percent: float) -> dict[str, str]:
    """Return what the figures are taken on; `kafka` says where the broker comes from."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": f"{os.cpu_count()} x {_cpu_model()}",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "used by other programs before": f"{busy_percent:.0f} %",
        "kafka": kafka,
        "python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
    }


def _cpu_model() -> str:
    lines = CPU_INFO.read_text(encoding="utf-8").splitlines() if CPU_INFO.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def origin(about: Mapping[str, str], command: str) -> str:
    """Return what figures were taken on and how to take them again."""
    return f"{', '.join(f'{name} {value}' for name, value in about.items())}; repeat with `{command}`."


def table(*rows: list[str]) -> list[str]:
    """Return the lines of a table in Markdown; the first row is its head."""
    head, *body = [f"| {' | '.join(row)} |" for row in rows]
    return [head, f"|{'---|' * len(rows[0])}", *body]


def write_document(path: Path, part: str, *, text: str, script: str) -> None:
    """Put `text` between the marks of `part` in a document. Raises ValueError when they are missing."""
    begin, end = f"<!-- {part}: written by benchmarks/{script} -->", f"<!-- end of {part} -->"
    document = path.read_text(encoding="utf-8")
    start, stop = document.index(begin) + len(begin), document.index(end)
    path.write_text(f"{document[:start]}\n\n{text}\n\n{document[stop:]}", encoding="utf-8")


def write_results(path: Path, part: str, *, found: Any) -> None:
    """Replace one part of the JSON results and keep the others; dataclasses inside become objects."""
    results = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({**results, part: found}, indent=2, default=asdict) + "\n", encoding="utf-8")
