import re
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from confluent_kafka.admin import AdminClient

from stream_infer.demo.plan import PREFIX
from stream_infer.testing.kafka import Cluster
from tests.demo.conftest import PLENTY_S, Command

pytestmark = pytest.mark.timeout(PLENTY_S + 30)

COUNTS = re.compile(
    r"^([\d,]+) events: ([\d,]+) predictions, ([\d,]+) dead letters, ([\d,]+) unanswered, ([\d,]+) repeated$",
    re.MULTILINE,
)
RIGHT = re.compile(r"^version (\d), (\w+): ([\d,]+) of ([\d,]+) digits right, ([\d.]+)%$", re.MULTILINE)
FLOWING = " s  events "
Wait = Callable[["subprocess.Popen[str]", str], list[str]]


@dataclass(frozen=True, slots=True)
class Summary:
    events: int
    predictions: int
    dead_letters: int
    unanswered: int
    repeated: int


def summary_of(out: str) -> Summary:
    found = COUNTS.search(out)
    assert found, out
    return Summary(*(int(group.replace(",", "")) for group in found.groups()))


@dataclass(frozen=True, slots=True)
class Accuracy:
    version: str
    variant: str
    right: int
    predictions: int
    percent: float


def accuracies_of(out: str) -> list[Accuracy]:
    return [
        Accuracy(version, variant, int(right.replace(",", "")), int(of_all.replace(",", "")), float(percent))
        for version, variant, right, of_all, percent in RIGHT.findall(out)
    ]


def test_every_event_is_answered_and_the_summarys_numbers_agree(demo: Command) -> None:
    ended = demo.run("--seconds", "5", "--plain", TMPDIR=str(demo.folder))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    summary = summary_of(ended.stdout)
    assert summary.events == summary.predictions > 1000
    assert (summary.dead_letters, summary.unanswered, summary.repeated) == (0, 0, 0)

    accuracies = accuracies_of(ended.stdout)
    assert sum(one.predictions for one in accuracies) == summary.predictions
    for one in accuracies:
        assert one.percent == pytest.approx(100 * one.right / one.predictions, abs=0.051)
    assert FLOWING in ended.stdout
    assert ended.stderr == ""
    assert list(demo.folder.glob("stream-infer*")) == []


def test_a_canary_is_promoted_and_a_broken_version_refused_while_every_event_is_answered(
    demo: Command, wait_for_line: Wait
) -> None:
    # As long as it takes: a version is tried with what of the processor nobody else wants.
    with demo.start("--seconds", "600", "--rate", "300", "--plain") as process:
        lines = wait_for_line(process, "version 3 refused")
        process.send_signal(signal.SIGINT)
        rest, err = process.communicate(timeout=PLENTY_S)
    out = "".join(lines) + rest
    assert process.returncode == 0, out + err
    summary = summary_of(out)
    assert summary.events == summary.predictions
    said = [
        "revision 1: version 2 as canary for 20 % of the keys",
        "version 2 answers its share",
        "revision 2: version 2 promoted",
        "version 2 answers everything",
        "revision 3: version 3, which is broken, for everything",
        "version 3 refused by the worker: golden.jsonl, line 1, expects ",
        "; version 2 goes on",
    ]
    places = [out.find(sentence) for sentence in said]
    assert -1 not in places, out
    assert places == sorted(places)
    assert "no time was left" not in out

    weaker, canary, better = accuracies_of(out)
    assert [(one.version, one.variant) for one in (weaker, canary, better)] == [
        ("1", "stable"),
        ("2", "canary"),
        ("2", "stable"),
    ]
    assert 0 < canary.predictions < summary.predictions / 2
    assert better.percent > weaker.percent + 3


def test_ctrl_c_ends_with_the_summary_and_no_event_unanswered(demo: Command, wait_for_line: Wait) -> None:
    with demo.start("--seconds", "600") as process:
        wait_for_line(process, FLOWING)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PLENTY_S)
    assert process.returncode == 0, out + err
    summary = summary_of(out)
    assert summary.events == summary.predictions > 0
    assert "no time was left for: " in out
    assert err == ""


def test_ctrl_c_before_events_flow_ends_at_once(demo: Command, wait_for_line: Wait) -> None:
    with demo.start() as process:
        wait_for_line(process, "starting a worker")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PLENTY_S)
    assert process.returncode == 1, out
    assert err == "Interrupted.\n"


def test_a_worker_that_cannot_start_is_said_with_its_last_words(demo: Command) -> None:
    ended = demo.run("--set", "model.device=cuda:63")
    assert ended.returncode == 1
    assert "The worker ended with exit code 1, expected it to run." in ended.stderr
    assert "cuda:63" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_without_scikit_learn_one_sentence_says_what_to_install(demo: Command) -> None:
    package = demo.folder / "shadow" / "sklearn"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ModuleNotFoundError('No module named sklearn', name='sklearn')")
    ended = demo.run("--seconds", "5", PYTHONPATH=str(package.parent))
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1
    assert "pip install '.[demo]'" in ended.stderr


def test_variables_that_name_a_cluster_do_not_lead_the_demo_there(demo: Command) -> None:
    ended = demo.run("--seconds", "1", STREAM_INFER_KAFKA__BOOTSTRAP_SERVERS="kafka.invalid:9092")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "a broker inside this process" in ended.stdout


def test_brokers_that_do_not_answer_are_named(demo: Command) -> None:
    ended = demo.run("--bootstrap-servers", "127.0.0.1:1", "--set", "kafka.startup_timeout_s=1")
    assert ended.returncode == 1
    assert "kafka.bootstrap_servers is 127.0.0.1:1: no broker answered within 1 s" in ended.stderr


def test_on_a_cluster_of_ones_own_the_demo_leaves_nothing_behind(demo: Command, kafka: Cluster) -> None:
    ended = demo.run("--bootstrap-servers", kafka.bootstrap_servers, "--seconds", "3")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    summary = summary_of(ended.stdout)
    assert summary.events == summary.predictions > 1000

    topics = re.search(rf"topics ({PREFIX}\w+)\.\*", ended.stdout)
    assert topics
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    assert [name for name in admin.list_topics(timeout=10).topics if name.startswith(topics[1])] == []
    groups = admin.list_consumer_groups(request_timeout=10).result().valid
    assert topics[1] not in [group.group_id for group in groups]
