"""Bytes from Kafka: the Faust plug-in, the consumer thread, rebalances, the producers. Knows no Avro and no model."""
