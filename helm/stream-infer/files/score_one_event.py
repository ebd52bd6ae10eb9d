"""Asks whether a worker is ready, sends one event and waits for its prediction: READY_URL EVENT ID_FIELD TIMEOUT_S.

EVENT is JSON; an empty object ends it after the first question. The event goes out again until its answer is seen,
because a reader that starts at the end of the topic may start after the first answer.
"""

import json
import queue
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterable
from typing import Any

AGAIN_S = 5.0
COMMAND = "stream-infer"


def is_ready(url: str) -> bool:
    """Return whether a worker answers that it is ready; says what it answered."""
    try:
        with urllib.request.urlopen(url, timeout=AGAIN_S) as answer:
            print(answer.read().decode(), flush=True)
            return True
    except urllib.error.HTTPError as error:
        print(f"{url}: {error.code} {error.read().decode()}", flush=True)
    except OSError as error:
        print(f"{url}: {error}", flush=True)
    return False


def with_id(event: dict[str, Any], field: str, event_id: str) -> dict[str, Any]:
    """Return the event with its id at a dotted path."""
    inner: Any = event
    *outer, last = field.split(".")
    for step in outer:
        inner = inner.setdefault(step, {})
    inner[last] = event_id
    return event


def note(lines: Iterable[str], event_id: str, found: queue.Queue[str]) -> None:
    """Hand over the line that is the prediction of the event."""
    for line in lines:
        if event_id in line:
            found.put(line)


def score(event: dict[str, Any], field: str, deadline_s: float) -> None:
    """Send the event until its prediction is there and show it; ends the process with 1 after the deadline."""
    event_id = f"helm-test-{uuid.uuid4()}"
    line = json.dumps(with_id(event, field, event_id)) + "\n"
    found: queue.Queue[str] = queue.Queue()
    reader = subprocess.Popen([COMMAND, "consume"], stdout=subprocess.PIPE, text=True)
    threading.Thread(target=note, args=(reader.stdout, event_id, found), daemon=True).start()
    try:
        while time.monotonic() < deadline_s:
            if subprocess.run([COMMAND, "produce"], input=line, text=True, check=False).returncode:
                sys.exit("the event could not be sent")
            try:
                print(found.get(timeout=AGAIN_S), end="")
            except queue.Empty:
                if reader.poll() is not None:
                    sys.exit(f"the predictions could not be read: exit code {reader.returncode}")
            else:
                return
        sys.exit(f"no prediction of event {event_id} came in time, expected one: look into the dead-letter topic")
    finally:
        reader.kill()


def main(url: str, event: str, field: str, timeout_s: str) -> None:
    """Ask, then score; every failure is one sentence and exit code 1."""
    deadline_s = time.monotonic() + float(timeout_s)
    while not is_ready(url):
        if time.monotonic() > deadline_s:
            sys.exit(f"no worker was ready within {timeout_s} s")
        time.sleep(1.0)
    given = json.loads(event)
    if not given:
        print("test.event is empty: nothing is scored")
    elif not field or field.startswith("key."):
        sys.exit(f"config.schemas.fields.event_id is {field or 'null'}, expected a field of the value")
    else:
        score(given, field, deadline_s)


main(*sys.argv[1:])
