"""Errors of questions to the brokers that the next attempt meets again."""

from typing import Final

from confluent_kafka import KafkaError, KafkaException

FORBIDDEN: Final = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError._AUTHENTICATION,  # noqa: SLF001 - librdkafka's local codes are spelt so
    }
)
"""What this user may not do."""
# A group that has just been made, or whose broker moved, has no coordinator for a moment; librdkafka calls that final.
LASTING: Final = FORBIDDEN | {KafkaError._UNSUPPORTED_FEATURE}  # noqa: SLF001 - as above
"""Of questions about positions; everything else passes, a rebalance under way included."""


def may_pass(error: KafkaException) -> bool:
    """Whether the next question about positions may meet something else."""
    cause = error.args[0]
    return not cause.fatal() and cause.code() not in LASTING
