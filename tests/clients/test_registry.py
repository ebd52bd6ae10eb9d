import json
from collections.abc import Iterator

import pytest
from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient, SchemaRegistryError
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from stream_infer.avro import SchemaNotFound, parse_schema
from stream_infer.avro.framing import confluent_frame
from stream_infer.avro.tree import ArrayOf, Record
from stream_infer.errors import Retry, Stop, WrongUse
from stream_infer.settings import Settings, load_settings
from stream_infer.testing.registry import TestRegistry, registry_process
from stream_infer.transport.registry import RegistrySource, registry_config

EVENT = json.dumps(
    {
        "type": "record",
        "name": "Event",
        "namespace": "shop",
        "fields": [{"name": "id", "type": "string"}, {"name": "amount", "type": "double"}],
    }
)
WIDER = json.dumps(
    {
        "type": "record",
        "name": "Event",
        "namespace": "shop",
        "fields": [
            {"name": "id", "type": "string"},
            {"name": "amount", "type": "double"},
            {"name": "note", "type": ["null", "string"], "default": None},
        ],
    }
)
OTHER = json.dumps({"type": "record", "name": "Event", "namespace": "shop", "fields": [{"name": "x", "type": "int"}]})


@pytest.fixture(scope="module")
def running() -> Iterator[TestRegistry]:
    with registry_process() as registry:
        yield registry


@pytest.fixture
def registry(running: TestRegistry) -> Iterator[TestRegistry]:
    yield running
    running.fail("none")


@pytest.fixture
def client(registry: TestRegistry) -> Iterator[SchemaRegistryClient]:
    with SchemaRegistryClient({"url": registry.url}) as client:
        yield client


@pytest.fixture
def subject(request: pytest.FixtureRequest) -> str:
    return f"{request.node.name}-value"


def settings_for(registry: TestRegistry, *sets: str) -> Settings:
    return load_settings(None, [f"schema_registry.url={registry.url}", *sets], {})


def impatient(registry: TestRegistry) -> RegistrySource:
    return RegistrySource(
        settings_for(registry, "schema_registry.properties.timeout=0.3", "schema_registry.properties.max.retries=0")
    )


def test_confluent_s_serializers_work_through_it(registry: TestRegistry, client: SchemaRegistryClient) -> None:
    context = SerializationContext("orders", MessageField.VALUE)
    order = {"id": "a", "amount": 2.5}
    content = AvroSerializer(client, EVENT)(order, context)
    with SchemaRegistryClient({"url": registry.url}) as fresh:
        assert AvroDeserializer(fresh)(content, context) == order
    assert content is not None
    schema_id = int.from_bytes(content[1:5], "big")
    assert content.startswith(confluent_frame(schema_id))
    assert json.loads(RegistrySource(settings_for(registry)).schema_by_id(schema_id)) == json.loads(EVENT)


def test_equal_schemas_share_an_id_and_versions_count_within_a_subject(
    registry: TestRegistry, client: SchemaRegistryClient, subject: str
) -> None:
    first = client.register_schema(subject, Schema(EVENT, "AVRO"))
    spaced = json.dumps(json.loads(EVENT), indent=2)
    assert client.register_schema(f"{subject}-2", Schema(spaced, "AVRO")) == first
    second = client.register_schema(subject, Schema(WIDER, "AVRO"))
    assert second != first
    assert client.get_versions(subject) == [1, 2]
    assert client.get_latest_version(subject).schema_id == second
    assert {subject, f"{subject}-2"} <= set(client.get_subjects())


def test_a_schema_that_cannot_read_the_last_one_is_refused_unless_anything_goes(
    registry: TestRegistry, client: SchemaRegistryClient, subject: str
) -> None:
    client.register_schema(subject, Schema(EVENT, "AVRO"))
    assert client.test_compatibility(subject, Schema(WIDER, "AVRO"))
    assert not client.test_compatibility(subject, Schema(OTHER, "AVRO"))
    with pytest.raises(SchemaRegistryError, match="incompatible"):
        client.register_schema(subject, Schema(OTHER, "AVRO"))
    client.set_compatibility(subject, "NONE")
    client.register_schema(subject, Schema(OTHER, "AVRO"))


def test_a_schema_is_found_by_its_guid_too(registry: TestRegistry, client: SchemaRegistryClient, subject: str) -> None:
    registered = client.register_schema_full_response(subject, Schema(EVENT, "AVRO"))
    assert registered.guid
    source = RegistrySource(settings_for(registry))
    assert json.loads(source.schema_by_guid(registered.guid)) == json.loads(EVENT)


def test_what_is_not_there_is_not_found(registry: TestRegistry) -> None:
    source = RegistrySource(settings_for(registry))
    with pytest.raises(SchemaNotFound):
        source.schema_by_id(4711)
    with pytest.raises(SchemaNotFound):
        source.schema_by_guid("00000000-0000-0000-0000-000000000000")


def test_references_are_put_in_place(registry: TestRegistry, client: SchemaRegistryClient, subject: str) -> None:
    money = '{"type": "record", "name": "Money", "namespace": "bank", "fields": [{"name": "cents", "type": "long"}]}'
    client.register_schema(f"{subject}-money", Schema(money, "AVRO"))
    order = json.dumps(
        {
            "type": "record",
            "name": "Order",
            "namespace": "shop",
            "fields": [
                {"name": "price", "type": "bank.Money"},
                {"name": "tips", "type": {"type": "array", "items": "bank.Money"}},
            ],
        }
    )
    reference = SchemaReference("bank.Money", f"{subject}-money", 1)
    schema_id = client.register_schema(subject, Schema(order, "AVRO", [reference]))
    whole = parse_schema(RegistrySource(settings_for(registry)).schema_by_id(schema_id))
    price, tips = whole.record.fields
    assert isinstance(price.type, Record)
    assert tips.type == ArrayOf(price.type)


@pytest.mark.parametrize("fault", ["down", "error", "slow"])
def test_a_registry_that_fails_is_away_and_answers_again_afterwards(
    registry: TestRegistry, subject: str, fault: str
) -> None:
    schema_id = RegistrySource(settings_for(registry)).register(subject, EVENT)
    source = impatient(registry)
    registry.fail(fault, delay_s=5)  # type: ignore[arg-type] # one of its names
    with pytest.raises(Retry):
        source.schema_by_id(schema_id)
    registry.fail("none")
    assert json.loads(source.schema_by_id(schema_id)) == json.loads(EVENT)


def test_a_schema_once_seen_is_known_while_the_registry_is_away(registry: TestRegistry, subject: str) -> None:
    source = impatient(registry)
    schema_id = source.register(subject, EVENT)
    source.schema_by_id(schema_id)
    registry.fail("down")
    assert json.loads(source.schema_by_id(schema_id)) == json.loads(EVENT)


def test_a_subject_without_the_schema_stops_unless_registering_is_allowed(registry: TestRegistry, subject: str) -> None:
    with pytest.raises(Stop, match=r"schema_registry\.auto_register"):
        RegistrySource(settings_for(registry)).id_for(subject, EVENT)
    allowed = RegistrySource(settings_for(registry, "schema_registry.auto_register=true"))
    schema_id = allowed.id_for(subject, EVENT)
    assert RegistrySource(settings_for(registry)).id_for(subject, EVENT) == schema_id


def test_an_incompatible_schema_stops(registry: TestRegistry, subject: str) -> None:
    source = RegistrySource(settings_for(registry))
    source.register(subject, EVENT)
    with pytest.raises(Stop, match="incompatible"):
        source.register(subject, OTHER)


def test_numbers_among_the_client_s_properties_are_checked() -> None:
    settings = load_settings(
        None, ["schema_registry.url=http://localhost:1", "schema_registry.properties.timeout=soon"], {}
    )
    with pytest.raises(WrongUse) as caught:
        registry_config(settings)
    assert str(caught.value) == "schema_registry.properties.timeout is 'soon', expected a number."


def test_a_property_that_the_client_does_not_know_is_refused() -> None:
    settings = load_settings(None, ["schema_registry.url=http://localhost:1", "schema_registry.properties.x.y=1"], {})
    with pytest.raises(WrongUse, match="Unrecognized properties"):
        RegistrySource(settings)


@pytest.mark.parametrize("url", ["http://me:hunter2@localhost:1", "ftp://me:hunter2@localhost:1"])
def test_whom_a_registry_s_address_names_is_in_no_sentence(url: str) -> None:
    settings = load_settings(None, [f"schema_registry.url={url}", "schema_registry.properties.max.retries=0"], {})
    with pytest.raises((Retry, WrongUse)) as caught:
        RegistrySource(settings).schema_by_id(1)
    assert "@localhost:1" in str(caught.value)
    assert "hunter2" not in str(caught.value)
