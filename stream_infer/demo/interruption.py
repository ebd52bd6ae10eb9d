"""Ctrl-C and SIGTERM: the end at once, or a wish to come to an end."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Final, Self

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Turns both signals into KeyboardInterrupt, except for the first one inside `patient`: that one sets `asked`.

    Used as a `with` block in the main thread; afterwards the signals mean what they meant before.
    """

    def __init__(self) -> None:
        self._asked = False
        self._is_patient = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def asked(self) -> bool:
        """Say whether somebody wants an end."""
        return self._asked

    @contextmanager
    def patient(self) -> Iterator[None]:
        """Let the first signal wait until `asked` is looked at."""
        self._is_patient = True
        try:
            yield
        finally:
            self._is_patient = False

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._asked or not self._is_patient:
            raise KeyboardInterrupt
        self._asked = True
