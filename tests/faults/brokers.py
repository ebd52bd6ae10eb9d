"""Three Apache Kafka brokers on this machine, which a test may kill, stop and freeze one by one."""

import shutil
import signal
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from stream_infer.testing.kafka.cluster import wait_until_ready
from stream_infer.testing.kafka.jars import tools_classpath
from stream_infer.testing.kafka.local import BrokerProcess
from stream_infer.testing.kafka.properties import free_port, node_of_several
from tests.faults.network import Network

COUNT = 3
READY_TIMEOUT_S = 90.0


class Brokers:
    """The brokers, each also a controller: two of them are a quorum. `nodes` are in the order of their ids.

    `network` is another way to reach them, which faults can harm.
    """

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="stream-infer-brokers-"))
        controllers = {node: free_port() for node in range(1, COUNT + 1)}
        ports = {node: free_port() for node in controllers}
        detours = {node: (free_port(), free_port()) for node in controllers}
        self.network = Network({before: behind for behind, before in detours.values()})
        self.bootstrap_servers = ",".join(f"127.0.0.1:{port}" for port in ports.values())
        classpath = tools_classpath()
        self.nodes: Sequence[BrokerProcess] = [
            BrokerProcess(
                self._own_folder(node),
                node_of_several(node, controllers, port=port, detour=detours[node]),
                classpath=classpath,
                port=port,
            )
            for node, port in ports.items()
        ]

    def __enter__(self) -> Self:
        try:
            for node in self.nodes:
                node.format()
            self.start()
            self.network.__enter__()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.network.__exit__(kind, error, trace)
        self.close(keep=error is not None)

    def start(self) -> None:
        """Start every broker that does not run, let every frozen one go on, and wait until all answer."""
        for node in self.nodes:
            node.begin()
            node.send_signal(signal.SIGCONT)
        for node in self.nodes:
            node.wait_until_ready()
        wait_until_ready(self.bootstrap_servers, timeout_s=READY_TIMEOUT_S)

    def close(self, *, keep: bool = False) -> None:
        """End them; the logs stay when they are to be kept."""
        for node in self.nodes:
            node.kill()
        if keep:
            for node in self.nodes:
                shutil.rmtree(node.data, ignore_errors=True)
        else:
            shutil.rmtree(self._folder, ignore_errors=True)

    def logs(self) -> Path:
        """Return the folder in which their logs are."""
        return self._folder

    def _own_folder(self, node: int) -> Path:
        folder = self._folder / f"broker-{node}"
        folder.mkdir()
        return folder
