"""Java, and the jars of Apache Kafka."""

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from stream_infer.testing.kafka.cluster import Unavailable

KAFKA_VERSION = "4.1.0"
_JAVA_OLDEST = 17
_MAVEN_TIMEOUT_S = 600
_DEPENDENCIES = (
    ("org.apache.kafka", "kafka_2.13", KAFKA_VERSION),
    ("org.apache.kafka", "kafka-tools", KAFKA_VERSION),
    # The two above log through slf4j and bring nothing that writes it down.
    ("org.slf4j", "slf4j-simple", "1.7.36"),
)


def java_command(classpath: str, main_class: str, *args: str, options: Sequence[str] = ()) -> list[str]:
    """Return the command line that runs `main_class` from `classpath`; `options` go to the Java machine itself.

    Raises `Unavailable` without Java 17 or later.
    """
    return [find_java(os.environ), *options, "-cp", classpath, main_class, *args]


def find_java(environ: Mapping[str, str]) -> str:
    """Return the `java` below `JAVA_HOME`, else on the path.

    Raises `Unavailable` when there is none or it is older than 17.
    """
    home = environ.get("JAVA_HOME")
    java = str(Path(home, "bin", "java")) if home else shutil.which("java", path=environ.get("PATH"))
    if java is None:
        raise Unavailable("there is no java on the path and JAVA_HOME is not set; expected Java 17 or later")
    try:
        answer = subprocess.run([java, "-version"], capture_output=True, text=True, check=True, timeout=60).stderr
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable(f"{java} -version failed: {error}") from error
    found = re.search(r'version "(\d+)', answer)
    if found is None or int(found[1]) < _JAVA_OLDEST:
        raise Unavailable(f"{java} says {answer.splitlines()[0]!r}; expected Java {_JAVA_OLDEST} or later")
    return java


def installed_classpath(home: Path) -> str:
    """Return the class path of the Kafka unpacked at `home`.

    Raises `Unavailable` when there is none.
    """
    if not list(home.glob("libs/kafka_*.jar")):
        raise Unavailable(f"KAFKA_HOME={home} holds no libs/kafka_*.jar; expected an unpacked Apache Kafka")
    return str(home / "libs" / "*")


def tools_classpath() -> str:
    """Return the class path of Kafka's command-line tools: of `KAFKA_HOME` when set, else from Maven.

    Raises `Unavailable` when they cannot be had.
    """
    home = os.environ.get("KAFKA_HOME")
    return installed_classpath(Path(home)) if home else maven_classpath()


def maven_classpath() -> str:
    """Return the class path of Kafka's jars, fetched with Maven unless an earlier call did.

    Raises `Unavailable` without Maven or when it cannot fetch them.
    """
    folder = cache_folder() / f"jars-{KAFKA_VERSION}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with (folder.parent / "lock").open("w") as lock:
            # Maven's own folder takes one at a time.
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.is_dir():
                _fetch(folder)
    return str(folder / "*")


def cache_folder() -> Path:
    """Return where jars are kept: `.kafka/` in a checkout, else in the user's cache folder."""
    root = Path(__file__).parents[3]
    if (root / "pyproject.toml").is_file():
        return root / ".kafka"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stream-infer" / "kafka"


def _fetch(folder: Path) -> None:
    mvn = shutil.which("mvn")
    if mvn is None:
        raise Unavailable("there is no mvn on the path; expected Maven, to fetch Kafka's jars")
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="fetch-") as work:
        pom, jars = Path(work, "pom.xml"), Path(work, "jars")
        pom.write_text(_pom(), encoding="utf-8")
        _run_maven(mvn, pom=pom, jars=jars)
        # The rename is what marks the folder as whole: a fetch that was cut off leaves none.
        jars.rename(folder)


def _run_maven(mvn: str, *, pom: Path, jars: Path) -> None:
    command = [mvn, "-B", "-q", "-f", str(pom), "dependency:copy-dependencies"]
    command += [f"-DoutputDirectory={jars}", "-DincludeScope=runtime"]
    try:
        subprocess.run(command, capture_output=True, text=True, check=True, timeout=_MAVEN_TIMEOUT_S)
    except subprocess.CalledProcessError as error:
        said = next((line for line in error.stdout.splitlines() if "ERROR" in line), error.stdout[:300])
        raise Unavailable(f"mvn could not fetch Kafka {KAFKA_VERSION}: {said.strip()}") from error
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"mvn did not fetch Kafka {KAFKA_VERSION} within {_MAVEN_TIMEOUT_S} s") from error


def _pom() -> str:
    dependencies = "".join(
        f"<dependency><groupId>{group}</groupId><artifactId>{name}</artifactId><version>{version}</version></dependency>"
        for group, name, version in _DEPENDENCIES
    )
    return (
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        "<groupId>stream-infer</groupId><artifactId>kafka-for-tests</artifactId><version>1</version>"
        f"<dependencies>{dependencies}</dependencies></project>"
    )
