"""The network between workers and brokers: it can be cut, slowed down, reset, and made to deliver an EndTxn late.

It can also let brokers say that the cluster has none. Clients reach each broker by a detour through this process: by a
listener of its own, or because the port in what the broker says of itself is exchanged. A connection belongs to the
worker whose id its requests carry (https://kafka.apache.org/protocol: request header v1).
"""

import asyncio
import socket
import struct
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

HOST = "127.0.0.1"
HEADER = struct.Struct(">hhih")
METADATA = 3
FIND_COORDINATOR = 10
END_TXN = 26
FIRST_COMPACT = 9
"""The version of Metadata from which on arrays and texts are compact and structures have tags."""
COMMITS = b"\x01"
EMPTY = b"\x01"
"""A compact list of nothing."""
ANSWER_S = 30.0
RESET = struct.pack("ii", 1, 0)
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(slots=True)
class Request:
    """A request as it is on the wire, behind its length, and what its header says."""

    frame: bytes
    kind: int
    version: int
    number: int
    client: str

    @property
    def commits(self) -> bool:
        """Whether it ends a transaction by a commit."""
        return self.kind == END_TXN and self.frame.endswith(COMMITS)


@dataclass(slots=True)
class Rule:
    """What becomes of the connections of one worker; `late` waits for its next commit.

    While `brokers_hidden`, answers that describe the cluster name no brokers, and end their connection.
    """

    is_open: asyncio.Event = field(default_factory=asyncio.Event)
    delay_s: float = 0.0
    brokers_hidden: bool = False
    late: "Late | None" = None
    open_writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def passed(self) -> None:
        """Return when what is on its way may arrive."""
        await self.is_open.wait()
        if self.delay_s:
            await asyncio.sleep(self.delay_s)


@dataclass(frozen=True, slots=True)
class Answers:
    """What of a connection's answers is changed: `asked` are requests whose answers name brokers, by their numbers.

    `way` is the port that clients use and the broker's own one.
    """

    asked: dict[int, Request]
    way: tuple[int, int]

    def changed(self, rule: Rule, frame: bytes) -> bytes:
        """Return an answer as the client is to get it."""
        request = self.asked.pop(struct.unpack_from(">i", frame)[0], None)
        if request is None:
            return frame
        if rule.brokers_hidden and request.kind == METADATA:
            return _without_brokers(frame, version=request.version)
        before, behind = (HOST.encode() + struct.pack(">i", port) for port in self.way)
        return frame.replace(behind, before)


@dataclass(frozen=True, slots=True)
class Late:
    """An EndTxn that arrives so many seconds late; `answer` becomes the error code that the broker gives it."""

    seconds: float
    answer: Future[int] = field(default_factory=Future)


class Network:
    """Proxies by the port that clients use, each before the port that a broker listens on; one thread of its own."""

    def __init__(self, ways: Mapping[int, int]) -> None:
        self._ways = ways
        self._rules: dict[str, Rule] = defaultdict(_open_rule)
        self._servers: list[asyncio.Server] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="network", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._listen)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._do(self._end)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def bootstrap_servers(self) -> str:
        """Return the addresses for clients that take the detour."""
        return ",".join(f"{HOST}:{port}" for port in self._ways)

    def cut(self, client: str) -> None:
        """Let nothing of a worker arrive any more, in either direction; its connections stay open."""
        self._tell(self._rules[client].is_open.clear)

    def heal(self, client: str) -> None:
        """Let everything arrive again, what waited too, and at once."""

        def open_again() -> None:
            self._rules[client].delay_s = 0.0
            self._rules[client].is_open.set()

        self._tell(open_again)

    def slow_down(self, client: str, seconds: float) -> None:
        """Let whatever is sent arrive so much later, in either direction."""
        self._tell(lambda: setattr(self._rules[client], "delay_s", seconds))

    def hide_brokers(self, client: str, *, hide: bool = True) -> None:
        """Let the cluster describe itself to a worker as one without brokers, as one does that starts or ends."""
        self._tell(lambda: setattr(self._rules[client], "brokers_hidden", hide))

    def reset(self, client: str) -> None:
        """Break all connections of a worker off."""

        def break_all() -> None:
            for writer in self._rules[client].open_writers:
                _break_off(writer)

        self._tell(break_all)

    def hold_next_commit(self, client: str, seconds: float) -> "Future[int]":
        """Break the connection off on which a worker's next EndTxn came, and deliver that so many seconds later.

        The result is the error code that the broker gave.
        """
        late = Late(seconds)
        self._tell(lambda: setattr(self._rules[client], "late", late))
        return late.answer

    def _tell(self, change: Callable[[], object]) -> None:
        async def make() -> None:
            change()

        self._do(make)

    def _do(self, make: Callable[[], Any]) -> None:
        asyncio.run_coroutine_threadsafe(make(), self._loop).result(ANSWER_S)

    async def _listen(self) -> None:
        for port, behind in self._ways.items():
            way = (port, behind)
            server = await asyncio.start_server(lambda *ends, way=way: self._serve(ends, way), HOST, port)
            self._servers.append(server)

    async def _end(self) -> None:
        for server in self._servers:
            server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, client: Streams, way: tuple[int, int]) -> None:
        try:
            broker = await asyncio.open_connection(HOST, way[1])
        except OSError:
            client[1].close()
            return
        await self._carry(client, broker, way)

    async def _carry(self, client: Streams, broker: Streams, way: tuple[int, int]) -> None:
        """Carry requests one way and answers the other until either side ends."""
        rule = self._rules[""]
        asked: dict[int, Request] = {}
        answers: asyncio.Task[None] | None = None
        try:
            while True:
                request = await _read(client[0])
                if answers is None:
                    rule = self._rules[request.client]
                    rule.open_writers.add(client[1])
                    answers = asyncio.create_task(_answer(rule, Answers(asked, way), broker[0], client[1]))
                if request.kind in {METADATA, FIND_COORDINATOR}:
                    asked[request.number] = request
                await rule.passed()
                if request.commits and rule.late is not None:
                    late, rule.late = rule.late, None
                    _break_off(client[1])
                    answers.cancel()
                    await _deliver_late(late, request, broker)
                    break
                _write(broker[1], request.frame)
                await broker[1].drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # either side has ended
        finally:
            rule.open_writers.discard(client[1])
            if answers is not None:
                answers.cancel()
            for writer in (client[1], broker[1]):
                writer.close()


def _open_rule() -> Rule:
    rule = Rule()
    rule.is_open.set()
    return rule


async def _read(reader: asyncio.StreamReader) -> Request:
    (length,) = struct.unpack(">i", await reader.readexactly(4))
    frame = await reader.readexactly(length)
    kind, version, number, width = HEADER.unpack_from(frame)
    return Request(frame, kind, version, number, frame[HEADER.size : HEADER.size + max(width, 0)].decode())


def _write(writer: asyncio.StreamWriter, frame: bytes) -> None:
    writer.write(struct.pack(">i", len(frame)) + frame)


async def _answer(rule: Rule, answers: Answers, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError, asyncio.IncompleteReadError):
        while True:
            (length,) = struct.unpack(">i", await reader.readexactly(4))
            found = await reader.readexactly(length)
            frame = answers.changed(rule, found)
            await rule.passed()
            _write(writer, frame)
            await writer.drain()
            if len(frame) < len(found):
                break
    writer.close()


def _without_brokers(frame: bytes, *, version: int) -> bytes:
    """Return an answer to Metadata with an empty list of brokers."""
    assert version >= FIRST_COMPACT, f"this client asks with Metadata {version}, which is not known here"
    # Correlation id, no tags, throttle time; then a count, and each broker: id, host, port, rack, no tags.
    start = end = 4 + 1 + 4
    count, end = _uvarint(frame, end)
    for _ in range(count - 1):
        width, end = _uvarint(frame, end + 4)
        width, end = _uvarint(frame, end + width - 1 + 4)
        end += max(width - 1, 0) + 1
    return frame[:start] + EMPTY + frame[end:]


def _uvarint(frame: bytes, at: int) -> tuple[int, int]:
    """Return a number of seven bits a byte, and where it ends."""
    value = shift = 0
    while True:
        value |= (frame[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if frame[at - 1] < 0x80:  # the eighth bit says that more follow
            return value, at


async def _deliver_late(late: Late, request: Request, broker: Streams) -> None:
    await asyncio.sleep(late.seconds)
    _write(broker[1], request.frame)
    try:
        late.answer.set_result(await asyncio.wait_for(_code(broker[0], request.number), ANSWER_S))
    except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
        late.answer.set_exception(error)


async def _code(reader: asyncio.StreamReader, number: int) -> int:
    """Return the error code of the answer with a correlation id; behind both stands the throttle time."""
    while True:
        (length,) = struct.unpack(">i", await reader.readexactly(4))
        found, _, code = struct.unpack_from(">iih", await reader.readexactly(length))
        if found == number:
            return int(code)


def _break_off(writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()
