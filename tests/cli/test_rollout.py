"""`stream-infer rollout` against a real Kafka; the workers are played. Real ones: tests/end_to_end."""

import json
import signal
from pathlib import Path

import pytest
import yaml

from stream_infer.cli.operator import Operator, Outdone
from stream_infer.clock import SystemClock
from stream_infer.rollout import operate
from stream_infer.rollout.record import Desired, VersionRef, parse_desired
from stream_infer.testing.kafka import Cluster, Topics
from stream_infer.testing.models import write_mlp
from tests.cli.shop import Shop, Worker, open_shop


@pytest.fixture
def shop(kafka: Cluster, topics: Topics, tmp_path: Path) -> Shop:
    """Return a shop with topics and versions of this test's own."""
    return open_shop(kafka, topics, tmp_path)


def said(desired: Desired) -> tuple[str, str | None, list[str]]:
    """Return what a state names: stable, canary, prepared."""
    canary = desired.canary.ref.version if desired.canary else None
    return desired.stable.version, canary, [ref.version for ref in desired.prepared]


def test_without_a_live_worker_a_version_is_tried_here_pinned_and_written(shop: Shop) -> None:
    done = shop.run("start", "--version", "2", "--reason", "better on weekends", "--wait")
    assert "no live worker" in done.err
    assert "version 2 is loaded and tried" in done.err
    (written,) = shop.log()
    assert said(written) == ("2", None, [])
    assert written.stable.sha256 == shop.made["2"].digest
    assert written.stable.size_bytes
    assert written.issued_by
    assert "@" in written.issued_by
    told = json.loads(shop.run("history", "--json").out)
    assert [(one["outcome"], one["by"], one["reason"]) for one in told] == [
        ("applied", written.issued_by, "better on weekends")
    ]


def test_without_a_live_worker_a_version_that_cannot_be_loaded_is_not_written(shop: Shop) -> None:
    (shop.made["2"].path / "model.safetensors").write_bytes(b"damaged")
    assert "model.safetensors" in shop.run("start", "--version", "2", ends=1).err
    assert shop.log() == []


def test_without_a_live_worker_a_version_that_breaks_a_contract_is_not_written(shop: Shop) -> None:
    repository = shop.made["1"].path.parents[1]
    write_mlp(repository, version="wider", sizes=(4, 8, 3), format="safetensors")
    inputs = [{"name": "x", "field": "fingerprint", "dtype": "float32", "shape": [4]}]
    write_mlp(repository, version="blind", sizes=(4, 8, 2), format="safetensors", manifest={"inputs": inputs})
    shop.run("start", "--version", "1")
    assert "answers otherwise than 1" in shop.run("start", "--version", "wider", ends=1).err
    assert "reads the field fingerprint" in shop.run("start", "--version", "blind", ends=1).err
    assert [said(one)[0] for one in shop.log()] == ["1"]
    shop.run("start", "--version", "wider", "--allow-output-change")
    assert [said(one)[0] for one in shop.log()] == ["1", "wider"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--version", "9"), "model default has no version 9, expected one of those"),
        (("--version", "2", "--sha256", "0" * 64), "0" * 64),
    ],
)
def test_a_version_that_is_not_there_or_is_another_one_is_not_written(
    shop: Shop, words: tuple[str, ...], sentence: str
) -> None:
    assert sentence in shop.run("start", *words, ends=1).err
    assert shop.log() == []


def test_a_dry_run_prints_a_record_that_counts_and_sends_nothing(shop: Shop) -> None:
    for words in (("start", "--version", "2"), ("canary", "--version", "2", "--percent", "0.07")):
        printed = parse_desired(shop.run(*words, "--dry-run").out.encode(), next_revision=1)
        assert (printed.revision, printed.application_id) == (1, shop.settings.application_id)
    assert printed.canary is not None
    assert printed.canary.hundredths == 7
    assert shop.log() == []


def test_a_start_prepares_everywhere_before_it_switches_and_shows_each_worker(shop: Shop) -> None:
    with shop.crew(Worker("worker-a"), Worker("worker-b")):
        done = shop.run("start", "--version", "2", "--wait")
    assert [said(one) for one in shop.log()] == [("1", None, ["2"]), ("2", None, [])]
    assert all(f"worker-{name}: READY" in done.err for name in "ab")
    assert all(f"worker-{name}: ACTIVE" in done.err for name in "ab")
    assert "revision 2 serves on every live worker (2); from the first to the last" in done.err


def test_a_version_that_fails_on_one_worker_is_withdrawn_from_all(shop: Shop) -> None:
    with shop.crew(Worker("worker-a"), Worker("worker-b", fails={"2": "golden sample 1 differs"})):
        done = shop.run("start", "--version", "2", ends=1)
    assert [said(one) for one in shop.log()] == [("1", None, ["2"]), ("1", None, [])]
    assert "Version 2 is withdrawn: worker-b: version 2 failed: golden sample 1 differs." in done.err


def test_a_version_that_is_not_ready_in_time_is_withdrawn_and_who_is_missing_is_told(shop: Shop) -> None:
    with shop.crew(Worker("worker-a"), Worker("worker-b", stuck=frozenset({"2"}))):
        done = shop.run("start", "--version", "2", "--timeout", "2", ends=1)
    assert said(shop.log()[-1]) == ("1", None, [])
    assert "not every live worker got there within 2 s: worker-b: LOADING" in done.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_start_that_is_given_up_withdraws_what_it_prepared(shop: Shop, number: signal.Signals) -> None:
    with shop.crew(Worker("worker-a", stuck=frozenset({"2"}))):
        running = shop.begin("start", "--version", "2")
        running.until_said("worker-a: LOADING")
        running.send(number)
        done = shop.end(running, ends=1)
    assert said(shop.log()[-1]) == ("1", None, [])
    assert done.err.endswith("version 2 is withdrawn; what served goes on\nInterrupted.\n")


def test_a_start_that_somebody_else_supersedes_ends_and_names_who_won(shop: Shop) -> None:
    with shop.crew(Worker("worker-a", stuck=frozenset({"2"}))):
        running = shop.begin("start", "--version", "2")
        shop.until(bool)
        shop.append(b'{"model": "default", "stable": {"version": "3"}, "issued_by": "ada@laptop"}')
        done = shop.end(running, ends=1)
    assert [said(one) for one in shop.log()] == [("1", None, ["2"]), ("3", None, [])]
    assert "revision 1 was superseded: revision 2 by ada@laptop" in done.err


def test_of_two_operators_who_saw_the_same_log_the_second_is_told_who_won(shop: Shop) -> None:
    operators = [Operator(shop.settings, model="default", clock=SystemClock(), say=print) for _ in range(2)]
    with operators[0] as one, operators[1] as two:
        first, second = (
            operate.switch(each.known, VersionRef(version), issued=each.issued(None))
            for each, version in ((one, "2"), (two, "3"))
        )
        assert one.write(first) == 0
        with pytest.raises(Outdone, match=r"Revision 1 came too late: revision 1 by .+@.+, at offset 0, counts"):
            two.write(second)
        assert two.folded.current == first


def test_a_canary_grows_with_its_seed_and_is_promoted_rolled_back_and_aborted(shop: Shop) -> None:
    limits = ("--max-error-ratio", "0.01", "--window-s", "30", "--min-records", "200")
    with shop.crew(Worker("worker-a")):
        shop.run("canary", "--version", "2", "--percent", "5", *limits, "--wait")
        shop.run("canary", "--version", "2", "--percent", "12.5")
        shop.run("promote", "--wait")
        shop.run("rollback", "--wait")
        shop.run("canary", "--version", "3", "--percent", "1")
        shop.run("abort", "--wait")
    log = shop.log()
    assert [said(one)[:2] for one in log] == [
        ("1", "2"),
        ("1", "2"),
        ("2", None),
        ("1", None),
        ("1", "3"),
        ("1", None),
    ]
    first, second, third = (one.canary for one in (log[0], log[1], log[4]))
    assert first
    assert second
    assert third
    assert (first.hundredths, second.hundredths) == (500, 1250)
    assert first.seed == second.seed != third.seed
    assert first.limits == second.limits
    assert first.limits is not None
    assert (first.limits.max_error_ratio, first.limits.window_s, first.limits.min_records) == (0.01, 30.0, 200)


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("promote",), 1, "has no canary: there is nothing to promote"),
        (("abort",), 1, "there is nothing to abort"),
        (("rollback",), 1, "there is nothing to roll back to"),
        (("canary", "--version", "2", "--percent", "0.001"), 2, "--percent is 0.001, expected steps of 0.01."),
        (("canary", "--version", "1", "--percent", "5"), 1, "version 1 is stable"),
        (("apply", "-f", "nowhere.yaml"), 2, "--file is nowhere.yaml, expected YAML that can be read"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(shop: Shop, words: tuple[str, ...], code: int, sentence: str) -> None:
    assert sentence in shop.run(*words, ends=code).err
    assert shop.log() == []


def test_what_serves_before_the_first_record_is_said_by_live_workers_and_else_by_the_settings(shop: Shop) -> None:
    with shop.crew(Worker("worker-gone", baseline="3")):
        pass
    with shop.crew(Worker("worker-a", baseline="2")):
        assert yaml.safe_load(shop.run("export").out)["stable"] == {"version": "2"}
    assert yaml.safe_load(shop.run("export").out)["stable"] == {"version": "1"}
    assert "names no version of other yet" in shop.run("abort", "--model", "other", ends=1).err


def test_status_shows_what_should_serve_and_what_does_on_each_live_worker(shop: Shop) -> None:
    shop.append(b'{"model": "default", "revision": 4, "stable": {"version": "2"}, "reason": "better"}')
    gone = Worker("worker-gone")
    with shop.crew(gone):
        pass
    with shop.crew(Worker("worker-a"), Worker("worker-b", fails={"2": "no such bytes"})):
        shown = shop.run("status").out
        told = json.loads(shop.run("status", "--json").out)
    lines = shown.splitlines()
    assert lines[0] == "model default, revision 4, by somebody: stable 2"
    assert lines[1] == "because: better"
    assert [line for line in lines if "worker-a" in line and "ACTIVE" in line and " 4 " in line]
    assert [line for line in lines if "worker-b" in line and "no such bytes" in line and "0 (not 4)" in line]
    assert "worker-gone" not in shown
    assert (told["desired"]["revision"], told["live"], told["silent"]) == (4, ["worker-a", "worker-b"], [])
    assert [one["versions"][0]["state"] for one in told["workers"]] == ["ACTIVE", "FAILED"]


def test_history_tells_of_every_record_about_the_model_and_why_some_did_not_count(shop: Shop) -> None:
    shop.append(b'{"model": "default", "revision": 5, "stable": {"version": "2"}, "issued_by": "ada"}')
    shop.append(b'{"model": "default", "revision": 5, "stable": {"version": "3"}, "issued_by": "bob"}')
    shop.append(b'{"model": "default", "stable": ')
    told = json.loads(shop.run("history", "--json").out)
    assert [(one["offset"], one["outcome"], one["by"]) for one in told] == [
        (0, "applied", "ada"),
        (1, "stale", "bob"),
        (2, "invalid", None),
    ]
    assert all(one["reason"] for one in told[1:])
    assert all(one["at"] for one in told)
    shown = shop.run("history").out
    assert [line for line in shown.splitlines() if "stale" in line and "stable 3" in line and "bob" in line]


def test_a_watch_ends_everywhere_the_canary_that_was_stopped_on_one_worker(shop: Shop) -> None:
    with shop.crew(Worker("worker-a"), Worker("worker-b", trips={"2": "12.0 % of 500 records failed"})):
        shop.run("watch", "--once")
        assert shop.log() == []
        shop.run("canary", "--version", "2", "--percent", "5")
        running = shop.begin("watch")
        shop.until(lambda log: len(log) > 1)
        running.send(signal.SIGINT)
        done = shop.end(running, ends=1)
    ended = shop.log()[-1]
    assert said(ended) == ("1", None, [])
    assert ended.reason == "stopped on worker-b: 12.0 % of 500 records failed"
    assert "canary 2 is ended, stopped on worker-b: 12.0 % of 500 records failed" in done.err


def test_what_was_exported_changes_nothing_here_and_makes_the_same_state_elsewhere(
    shop: Shop, kafka: Cluster, topics: Topics, tmp_path: Path
) -> None:
    shop.run("start", "--version", "2")
    shop.run("canary", "--version", "3", "--percent", "5", "--max-nonfinite-ratio", "0.001")
    file = tmp_path / "state.yaml"
    file.write_text(shop.run("export").out, encoding="utf-8")
    assert shop.run("apply", "-f", str(file)).err == "nothing to change\n"
    assert len(shop.log()) == 2
    elsewhere = open_shop(kafka, topics, tmp_path / "elsewhere")
    elsewhere.run("apply", "-f", str(file), "--reason", "second region")
    (here, there) = (shop.log()[-1], elsewhere.log()[-1])
    assert (there.stable, there.canary, there.reason) == (here.stable, here.canary, "second region")


def test_a_file_that_leaves_digests_open_is_pinned_once_and_changes_nothing_the_second_time(shop: Shop) -> None:
    file = shop.folder / "state.yaml"
    state = {"model": "default", "stable": {"version": "2"}, "canary": {"version": "3", "percent": 10}}
    file.write_text(yaml.safe_dump(state), encoding="utf-8")
    shop.append(b'{"model": "default", "revision": 6, "stable": {"version": "1"}}')
    shop.run("apply", "-f", str(file))
    assert "nothing to change" in shop.run("apply", "-f", str(file)).err
    _, written = shop.log()
    assert written.stable.sha256 == shop.made["2"].digest
    assert written.canary is not None
    assert (written.canary.ref.sha256, written.canary.seed) == (shop.made["3"].digest, "default/7")


def test_a_control_topic_that_loses_records_is_refused_by_every_command(shop: Shop, topics: Topics) -> None:
    compacted = topics.create("compacted", 1, cleanup_policy="compact")
    for words in (("status",), ("start", "--version", "2")):
        done = shop.run(*words, "--set", f"topics.control={compacted}", ends=1)
        assert f"Topic {compacted} has cleanup.policy=compact, expected delete" in done.err
