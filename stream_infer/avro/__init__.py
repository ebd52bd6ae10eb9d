"""Avro on both sides of the model: framing, schemas, and records as columns. Knows no Kafka and no model.

tree, parse, admission, spell, schemas   what a schema is, and which are let in
framing, groups, registry, catalog       which schema wrote a record
check, align, build, rows                the reference decoder: fastavro, record by record
columns, vet, match, resolve, arrow      the fast decoder: pyruhvro over a batch
samples, agreement, writer               which of the two serves a writer schema
decoder, keys                            what the pipeline calls to read
lower, to_python, encoder                what it calls to write: pyruhvro over a batch, or fastavro
partial                                  what a person is shown of a record that does not decode
from_json, choice                        values that come as JSON instead
"""

from stream_infer.avro.arrow import column, path_type
from stream_infer.avro.decoder import Decoded, Decoder
from stream_infer.avro.encoder import UNFIT, Encoder, holds_items
from stream_infer.avro.framing import InputFormat, OutputFormat
from stream_infer.avro.keys import KeyColumn, KeyDecoder, is_key_path
from stream_infer.avro.registry import SchemaNotFound, SchemaSource
from stream_infer.avro.schemas import AvroSchema, load_schema, parse_schema, with_passthrough
from stream_infer.avro.to_python import values_of
from stream_infer.avro.tree import ArrayOf, AvroType, Field, Primitive, present

__all__ = [
    "UNFIT",
    "ArrayOf",
    "AvroSchema",
    "AvroType",
    "Decoded",
    "Decoder",
    "Encoder",
    "Field",
    "InputFormat",
    "KeyColumn",
    "KeyDecoder",
    "OutputFormat",
    "Primitive",
    "SchemaNotFound",
    "SchemaSource",
    "column",
    "holds_items",
    "is_key_path",
    "load_schema",
    "parse_schema",
    "path_type",
    "present",
    "values_of",
    "with_passthrough",
]
