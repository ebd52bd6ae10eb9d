"""Which fields are decoded while versions come and go."""

from dataclasses import replace

import pytest

from stream_infer.avro import load_schema
from stream_infer.errors import Stop
from stream_infer.model import LoadedVersion
from stream_infer.scoring import Codec, Decoders
from stream_infer.settings import load_settings
from stream_infer.testing.clock import HandClock
from tests.pipeline.scored import Ground


@pytest.fixture
def decoders() -> Decoders:
    settings = load_settings(None, ["schemas.fields.entity_id=null", "schemas.fields.event_time=null"], {})
    return Decoders(settings, Codec(settings, load_schema(settings.schemas.input), HandClock()))


def reading(version: LoadedVersion, field: str) -> LoadedVersion:
    """Return a version whose one input is another field."""
    (one,) = version.manifest.inputs
    manifest = version.manifest.model_copy(update={"inputs": (one.model_copy(update={"field": field}),)})
    return replace(version, manifest=manifest)


def test_a_decoder_is_made_anew_only_for_a_version_that_reads_more(decoders: Decoders, loaded: LoadedVersion) -> None:
    first = decoders([loaded])
    assert decoders([replace(loaded, version="2")]) is first
    wider = decoders([reading(loaded, "event_time")])
    assert wider is not first
    assert decoders([loaded]) is wider


def test_a_wider_decoder_reads_what_every_version_before_needed(decoders: Decoders, loaded: LoadedVersion) -> None:
    value = Ground(loaded).value(1)
    assert decoders([loaded]).decode([value], None).columns.schema.names == ["event_id", "features"]
    wider = decoders([reading(loaded, "event_time")])
    assert wider.decode([value], None).columns.schema.names == ["event_id", "event_time", "features"]


def test_a_version_that_reads_a_field_that_the_schema_lacks_is_refused_and_changes_nothing(
    decoders: Decoders, loaded: LoadedVersion
) -> None:
    first = decoders([loaded])
    with pytest.raises(Stop, match="model default version 1 reads the field amount"):
        decoders([reading(loaded, "amount")])
    assert decoders([loaded]) is first
