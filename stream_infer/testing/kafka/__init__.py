"""A real Kafka for tests and benchmarks, from the first place that has one.

    with kafka_cluster() as cluster:
        settings = {"bootstrap.servers": cluster.bootstrap_servers}

In this order: the cluster that `STREAM_INFER_TEST_BOOTSTRAP` names, the Kafka installed at `KAFKA_HOME`, Docker, Apache
Kafka's own jars through Maven. A way that fails says so in one sentence and the next is tried.
"""

from stream_infer.testing.kafka.choose import kafka_cluster
from stream_infer.testing.kafka.cluster import Cluster, NoKafka, Unavailable
from stream_infer.testing.kafka.jars import java_command
from stream_infer.testing.kafka.topics import Topics

__all__ = ["Cluster", "NoKafka", "Topics", "Unavailable", "java_command", "kafka_cluster"]
