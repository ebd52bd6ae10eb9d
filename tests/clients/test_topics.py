from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_infer.errors import Stop
from stream_infer.settings import Settings, load_settings
from stream_infer.testing.kafka import Topics
from stream_infer.testing.topic_admin import FakeTopicAdmin
from stream_infer.transport.topics import TopicAdmin, WantedTopic, admin_for, check_topics, plan_topics, wanted_topics

ROLES = ("output", "dead_letter", "control", "status", "retry")


def settings_for(names: Callable[[str], str] = str, *, servers: str = "localhost:9092") -> Settings:
    roles = [f"topics.{role}={names(role)}" for role in ("input", *ROLES)]
    return load_settings(None, [f"kafka.bootstrap_servers={servers}", *roles], {})


@pytest.fixture(params=["fake", pytest.param("kafka", marks=pytest.mark.broker)])
def cluster(request: pytest.FixtureRequest) -> tuple[TopicAdmin, Settings]:
    if request.param == "fake":
        return FakeTopicAdmin(), settings_for()
    topics: Topics = request.getfixturevalue("topics")
    settings = settings_for(topics.name, servers=request.getfixturevalue("kafka").bootstrap_servers)
    return admin_for(settings), settings


def test_after_making_what_is_missing_nothing_is(cluster: tuple[TopicAdmin, Settings]) -> None:
    admin, settings = cluster
    before = plan_topics(admin, settings, partitions=3)
    assert len(before.missing) == 6
    admin.create(before.missing)
    admin.create(before.missing)
    after = plan_topics(admin, settings, partitions=3)
    assert (after.missing, after.wrong) == ((), ())
    assert {topic.name: topic.partitions for topic in after.existing} == {
        topic.name: topic.partitions for topic in before.missing
    }
    counts = check_topics(admin, settings).partitions
    assert {counts[name] for name in (*settings.topics.input, settings.topics.output)} == {3}


def test_a_control_topic_that_may_lose_or_reorder_rollouts_is_told(cluster: tuple[TopicAdmin, Settings]) -> None:
    admin, settings = cluster
    control = settings.topics.control
    admin.create([WantedTopic(control, 2, config={"cleanup.policy": "compact", "retention.ms": "1000"})])
    assert plan_topics(admin, settings, partitions=None).wrong == (
        f"Topic {control} has 2 partitions, expected 1: rollouts need one order.",
        f"Topic {control} has cleanup.policy=compact, expected delete: every rollout must be kept.",
        f"Topic {control} has retention.ms=1000, expected -1: every rollout must be kept.",
    )


def test_missing_topics_are_named_with_the_command_that_makes_them(cluster: tuple[TopicAdmin, Settings]) -> None:
    admin, settings = cluster
    topics = settings.topics
    admin.create([WantedTopic(topics.output, 1)])
    with pytest.raises(Stop) as caught:
        check_topics(admin, settings)
    assert str(caught.value) == (
        f"Topics {topics.input[0]}, {topics.dead_letter} are not on {settings.kafka.bootstrap_servers} (or hidden from "
        f"this user), expected to be: run `stream-infer topics create`."
    )


@given(existing=st.none() | st.integers(1, 50), asked=st.none() | st.integers(1, 50))
def test_topics_get_as_many_partitions_as_asked_for_else_as_the_input_has_else_four(
    existing: int | None, asked: int | None
) -> None:
    admin, settings = FakeTopicAdmin(), settings_for()
    if existing is not None:
        admin.create([WantedTopic(settings.topics.input[0], existing)])
    made = {topic.name: topic.partitions for topic in plan_topics(admin, settings, partitions=asked).missing}
    expected = asked or existing or 4
    assert {made[settings.topics.output], made[settings.topics.dead_letter], made[settings.topics.retry]} == {expected}
    assert {made[settings.topics.control], made[settings.topics.status]} == {1}


def test_a_broker_that_cannot_tell_how_a_topic_is_configured_is_believed() -> None:
    admin, settings = FakeTopicAdmin(tells=False), settings_for()
    admin.create(tuple(wanted_topics(settings, partitions=1, replication_factor=1)))
    assert plan_topics(admin, settings, partitions=None).wrong == ()
