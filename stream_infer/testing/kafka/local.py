"""Apache Kafka as local processes."""

import atexit
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from stream_infer.testing.kafka.cluster import Unavailable, wait_until_ready
from stream_infer.testing.kafka.jars import java_command
from stream_infer.testing.kafka.properties import free_port, single_node

_START_TIMEOUT_S = 90
_STOP_TIMEOUT_S = 30
_FORMAT_TIMEOUT_S = 60
_LOG_TAIL_LINES = 15
_CLUSTER_ID = "c3RyZWFtLWluZmVyLXRzdA"  # any 16 bytes in base64
_LOG4J = """\
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %p %c{1} %m%n
"""


class BrokerProcess:
    """One Kafka process with its properties, log and data below `folder`, and the port that its clients use.

    It lives no longer than the thread that started it, so start it on the main thread.
    """

    def __init__(self, folder: Path, properties: Mapping[str, str], *, classpath: str, port: int) -> None:
        self._folder = folder
        self._classpath = classpath
        self._address = f"127.0.0.1:{port}"
        self._process: subprocess.Popen[bytes] | None = None
        text = "".join(f"{name}={value}\n" for name, value in {**properties, "log.dirs": str(self.data)}.items())
        (folder / "server.properties").write_text(text, encoding="utf-8")
        (folder / "log4j2.properties").write_text(_LOG4J, encoding="utf-8")

    @property
    def data(self) -> Path:
        """Where its records are."""
        return self._folder / "data"

    @property
    def log(self) -> Path:
        """What it wrote."""
        return self._folder / "broker.log"

    def format(self) -> None:
        """Prepare the data folder; raises `Unavailable` with the end of the log when that fails."""
        command = self._java("kafka.tools.StorageTool", "format", "-t", _CLUSTER_ID, "-c", heap_mb=128)
        with self.log.open("ab") as log:
            status = subprocess.call(command, stdout=log, stderr=log, cwd=self._folder, timeout=_FORMAT_TIMEOUT_S)
        if status != 0:
            raise Unavailable(f"Kafka could not format {self._folder}: {self.log_tail()}")

    def begin(self) -> None:
        """Start the process, if it does not run, without waiting for it."""
        if self.is_running():
            return
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*die_with_parent(), *self._java("kafka.Kafka", heap_mb=512)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                start_new_session=True,  # Ctrl-C is for the tests: they end the broker when they are done with it
            )

    def wait_until_ready(self) -> None:
        """Wait until it answers; raises `Unavailable` if it does not."""
        wait_until_ready(self._address, timeout_s=_START_TIMEOUT_S, is_alive=self.is_running)

    def is_running(self) -> bool:
        """Whether the process has not ended."""
        return self._process is not None and self._process.poll() is None

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the process, if it runs."""
        if self._process is not None and self.is_running():
            os.killpg(self._process.pid, number)

    def stop(self) -> None:
        """End the process by SIGTERM, or by SIGKILL when it takes longer than 30 s."""
        if self._process is None:
            return
        self.send_signal(signal.SIGCONT)
        self.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """End the process by SIGKILL."""
        if self._process is not None:
            self.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def log_tail(self) -> str:
        """Return the last lines of what it wrote."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_TAIL_LINES:])

    def _java(self, main_class: str, *args: str, heap_mb: int) -> list[str]:
        options = [
            f"-Xmx{heap_mb}m",
            "-XX:+UseG1GC",
            "-XX:MaxGCPauseMillis=20",
            # One of the two, by what the class path brings: log4j with Kafka's own distribution, else slf4j-simple.
            f"-Dlog4j2.configurationFile={self._folder / 'log4j2.properties'}",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        ]
        return java_command(self._classpath, main_class, *args, "server.properties", options=options)


class LocalCluster:
    """One Kafka process, broker and controller in one (KRaft), with its data in a temporary folder.

    Raises `Unavailable` when it cannot be started; its log is kept then.
    """

    owned = True

    def __init__(self, *, classpath: str, source: str) -> None:
        self.classpath = classpath
        self.source = source
        port = free_port()
        self.bootstrap_servers = f"127.0.0.1:{port}"
        self._folder = Path(tempfile.mkdtemp(prefix="stream-infer-kafka-"))
        self._keep_log = False
        properties = single_node(host="127.0.0.1", port=port, controller_port=free_port(), bind="127.0.0.1")
        self._broker = BrokerProcess(self._folder, properties, classpath=classpath, port=port)
        atexit.register(self.close)
        try:
            self._broker.format()
            self.start()
        except BaseException:
            self.keep_log()
            self.close()
            raise

    def pause(self) -> None:
        """Stop the process where it is (SIGSTOP)."""
        self._broker.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on (SIGCONT)."""
        self._broker.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End the process by SIGTERM, or by SIGKILL when it takes longer than 30 s."""
        self._broker.stop()

    def start(self) -> None:
        """Start the process and wait until it answers; raises `Unavailable` with the end of its log if not."""
        if self._broker.is_running():
            return
        self._broker.begin()
        try:
            self._broker.wait_until_ready()
        except Unavailable as error:
            raise Unavailable(f"{error}; {self.keep_log()}, and ends with:\n{self._broker.log_tail()}") from error

    def keep_log(self) -> str:
        """Keep the log of this process in the temporary folder."""
        self._keep_log = True
        return f"the log of Kafka is in {self._broker.log}"

    def close(self) -> None:
        """Kill the process and remove its folder, or its data alone when the log is to be kept."""
        atexit.unregister(self.close)
        self._broker.kill()
        shutil.rmtree(self._broker.data if self._keep_log else self._folder, ignore_errors=True)


def die_with_parent() -> list[str]:
    """Return a prefix that makes the system kill the process with its parent, even after a SIGKILL of the parent."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL"] if setpriv else []
