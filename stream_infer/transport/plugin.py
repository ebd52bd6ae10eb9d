"""The Faust transport behind `rdkafka://`, found through the entry-point group `faust.transports`."""

from typing import ClassVar

import confluent_kafka
from faust.transport import base
from faust.types.transports import ConsumerT, ProducerT

from stream_infer.transport.consumer import Consumer
from stream_infer.transport.producer import Producer


class Transport(base.Transport):
    """Faust over librdkafka."""

    Consumer: ClassVar[type[ConsumerT]] = Consumer
    Producer: ClassVar[type[ProducerT]] = Producer

    default_port = 9092
    driver_version = f"confluent_kafka={confluent_kafka.__version__}"
