"""Every setting: its name, its type, its default and what it means; file, environment and flags use these names."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from stream_infer.settings.properties import OwnedBy, refuse_owned
from stream_infer.settings.types import (
    COMPUTED,
    Bytes,
    ComputedFolder,
    ComputedMilliseconds,
    ComputedTopic,
    Count,
    FilePath,
    Location,
    Milliseconds,
    Names,
    Port,
    PropertyValue,
    Ratio,
    SchemaFile,
    Seconds,
    Section,
    SomeSeconds,
    Text,
    TopicName,
    TopicNames,
    WholeMilliseconds,
    matching,
)

KafkaProperty = Annotated[str, AfterValidator(refuse_owned(OwnedBy.WORKER))]
RegistryProperty = Annotated[str, AfterValidator(refuse_owned(OwnedBy.REGISTRY))]
KafkaProperties = dict[KafkaProperty, PropertyValue]
KafkaPropertyFiles = dict[KafkaProperty, FilePath]
RegistryProperties = dict[RegistryProperty, PropertyValue]
RegistryPropertyFiles = dict[RegistryProperty, FilePath]
NonFinite = Annotated[
    Literal["dead_letter", "pass"] | None, BeforeValidator(lambda value: None if value == "null" else value)
]


class Kafka(Section):
    """The brokers and the clients that talk to them."""

    bootstrap_servers: Text = "localhost:9092"
    """Brokers for the first contact, `host:port`, separated by commas."""
    properties: KafkaProperties = Field(default_factory=dict, repr=False)
    """Any librdkafka property, for every client; unless named here topic.metadata.refresh.interval.ms is 15000 and
    statistics.interval.ms 5000, by which a client that forgot its brokers is known and replaced: 0 turns that off."""
    property_files: KafkaPropertyFiles = Field(default_factory=dict)
    """librdkafka property to the file that holds its value; for secrets."""
    consumer_properties: KafkaProperties = Field(default_factory=dict, repr=False)
    """Any librdkafka property, for consumers alone."""
    producer_properties: KafkaProperties = Field(default_factory=dict, repr=False)
    """Any librdkafka property, for producers alone; unless named here compression.type is lz4 and partitioner is
    murmur2_random, Java's."""
    auto_offset_reset: Literal["earliest", "latest", "error"] = "earliest"
    """Where to read from when the group has no position or lost it to retention."""
    startup_timeout_s: SomeSeconds = 60
    """Seconds until the first contact with a broker; later outages are waited out."""


class SchemaRegistry(Section):
    """The Confluent Schema Registry, if there is one."""

    url: Text | None = None
    """Address of the registry; null: local schemas only."""
    properties: RegistryProperties = Field(default_factory=dict, repr=False)
    """Any property of confluent-kafka's registry client, as basic.auth.user.info or ssl.ca.location."""
    property_files: RegistryPropertyFiles = Field(default_factory=dict)
    """Property of the registry client to the file that holds its value; for secrets."""
    auto_register: bool = False
    """Whether the output schema is registered at start when it is missing."""


class Topics(Section):
    """The topics that the worker reads and writes."""

    input: TopicNames = ("feature-events",)
    """Topics of the events to score, one or more."""
    output: TopicName = "predictions"
    """Topic of the predictions."""
    dead_letter: ComputedTopic = COMPUTED
    """Topic of records that cannot be scored; null: <application_id>.dead-letter."""
    control: ComputedTopic = COMPUTED
    """Topic that says which version serves; null: <application_id>.control."""
    status: ComputedTopic = COMPUTED
    """Topic to which workers report; null: <application_id>.status."""
    retry: ComputedTopic = COMPUTED
    """Topic that is read beside the input; null: <application_id>.retry."""


class SchemaFields(Section):
    """Where the worker finds what it needs in a value: a dotted path, "key.<path>" for the key, or null."""

    event_id: Text | None = "event_id"
    """Field that names the event."""
    entity_id: Text | None = "entity_id"
    """Field that names what the event is about."""
    event_time: Text | None = "event_time"
    """Field that says when the event happened."""


class Schemas(Section):
    """Avro schemas and how records are framed."""

    input: SchemaFile = Field(default="schemas/feature_event.avsc")  # type: ignore[assignment] # text until it is checked
    """File of the reader schema of input records."""
    output: SchemaFile = Field(default="schemas/prediction.avsc")  # type: ignore[assignment] # text until it is checked
    """File of the schema of predictions."""
    input_format: Literal["auto", "confluent", "single_object", "raw"] = "auto"
    """Framing of input records; auto tells confluent and single_object apart by their first bytes or header."""
    output_format: Literal["confluent", "single_object", "raw"] = "single_object"
    """Framing of predictions; confluent needs a registry."""
    fields: SchemaFields = Field(default_factory=SchemaFields)
    """Where the worker finds what it needs in an input value."""
    passthrough: Names = ()
    """Input fields that are copied to the prediction."""


class Batching(Section):
    """How records are gathered into batches, and how many may wait."""

    profile: Literal["throughput", "latency"] = "throughput"
    """throughput: predictions wait up to 5 ms to be sent together; latency: each batch is sent at once, at more CPU."""
    max_batch_size: Count = 256
    """Records in one batch at most; the version's manifest may lower it."""
    max_queue_delay_ms: Milliseconds = 5
    """Milliseconds that a batch waits for more, from its oldest record's arrival to the call; 0: take what is there."""
    max_concurrent_batches: Count = 2
    """Batches between decode and encode at once."""
    queue_limit_records: Count = 16384
    """Records that wait in this process at most; above it the worker stops polling."""
    queue_limit_bytes: Count = 67108864
    """Bytes of keys and values that wait in this process at most; above it the worker stops polling."""


class Model(Section):
    """Which model is served, from where, and what it may do."""

    name: Text = "default"
    """Name of the model: a folder of the repository and the key of its control records."""
    repository: Location = "models"
    """Folder or fsspec URL of the models: <repository>/<name>/<version>/model.yaml."""
    version: Text | None = None
    """Version that serves until the control topic names one; null: the only version that there is."""
    device: Annotated[str, matching(r"(auto|cpu|cuda(:\d+)?)", "auto, cpu, cuda or cuda:N")] = "auto"
    """auto, cpu, cuda or cuda:N."""
    keep_previous_s: Seconds = 300
    """Seconds for which a version that was replaced stays loaded."""
    load_timeout_s: SomeSeconds = 600
    """Seconds that fetching, checking and loading a version may take."""
    load_memory_limit_bytes: Count | None = None
    """Bytes of memory of the process that tries a version first; null: half of what the machine or cgroup allows."""
    cache_directory: ComputedFolder = COMPUTED
    """Folder of fetched versions and compiled graphs; null: the user's cache folder."""
    trusted_keys: dict[str, FilePath] = Field(default_factory=dict)
    """Key id to the file of an Ed25519 public key, for trust_policy signed."""
    inference_timeout_s: SomeSeconds = 600
    """Seconds after which a call of the model counts as stuck and the worker ends."""
    device_memory_reserve_bytes: Bytes = 0
    """Bytes of device memory that a swap of versions must leave free."""
    trust_policy: Literal["digest", "signed"] = "digest"
    """digest protects against accidents only; signed demands a signature on rollout records."""
    allow_code_formats: bool = True
    """Whether formats that run code when loaded are allowed; false leaves safetensors and onnx."""
    allowed_uri_prefixes: Names = ()
    """Prefixes of URIs that a rollout may name, besides the repository."""


class DeadLetterLimit(Section):
    """When so many records are refused that the model, not the records, must be at fault."""

    max_ratio: Ratio = 0.5
    """Share of refused records above which a window's outputs and commits are held back."""
    min_records: Count = 1000
    """Records in the window from which on the worker stops polling."""
    window_s: SomeSeconds = 60
    """Seconds of the window."""


class Delivery(Section):
    """What is promised about every record, and how commits are made."""

    processing_guarantee: Literal["at_least_once", "exactly_once_v2"] = "at_least_once"
    """at_least_once, or exactly_once_v2: outputs and offsets in one Kafka transaction."""
    commit_interval_ms: ComputedMilliseconds = COMPUTED
    """Milliseconds between commits; null: 1000, or 100 under exactly_once_v2."""
    transaction_timeout_ms: WholeMilliseconds = 10000
    """Milliseconds after which the broker ends a transaction that its owner left open."""
    max_record_bytes: Count = 1048576
    """Bytes of one input value at most; a longer one is a dead letter."""
    non_finite: NonFinite = "dead_letter"
    """What becomes of a prediction that is not finite: dead_letter, pass (as it is) or null."""
    dead_letter_limit: DeadLetterLimit = Field(default_factory=DeadLetterLimit)
    """When so many records are refused that the worker stops and waits."""
    shutdown_timeout_s: Seconds = 30
    """Seconds that a drain may take."""


class Web(Section):
    """The HTTP port: probes, metrics, models, and predictions where they are wanted."""

    enabled: bool = True
    """Whether the port is opened."""
    host: Text = "127.0.0.1"
    """Address to listen on."""
    port: Port = 6066
    """Port to listen on."""
    predict: bool = False
    """Whether POST /predict and /batch_predict are served; whoever reaches the port may ask."""
    max_body_bytes: Count = 1048576
    """Bytes of one request's body at most; a longer one is answered with 413."""
    predict_timeout_s: SomeSeconds = 10
    """Seconds that reading a request, and then scoring it, may take each."""


class Tracing(Section):
    """Traces of batches, with OpenTelemetry."""

    enabled: bool = False
    """Whether batches are traced and predictions carry trace context on; OTEL_* environment variables say where to."""


class Log(Section):
    """What is logged, and how."""

    level: Literal["debug", "info", "warning", "error", "critical"] = "info"
    """Least severe messages that are logged."""
    format: Literal["auto", "console", "json"] = "auto"
    """console, json, or auto: console on a terminal, JSON otherwise."""
