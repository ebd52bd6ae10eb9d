"""One pair of plain schemas for fastavro, written so that its resolution rules meet ours.

fastavro compares names, which we do not; so two types that stand for each other get one name. Fields that the writer
lacks are left out: their defaults are filled in when columns are built, in one way for both decoders.
"""

from dataclasses import dataclass, field

from stream_infer.avro.match import branches, kind, reader_branch, writer_field
from stream_infer.avro.spell import Json, Plain
from stream_infer.avro.tree import ArrayOf, AvroType, Enum, Fixed, MapOf, Record, UnionOf


@dataclass(frozen=True, slots=True)
class Pair:
    """A writer's and a reader's schema as JSON."""

    writer: Json
    reader: Json


@dataclass(slots=True)
class Aligner:
    """Writes pairs of types; names are unique within one aligner."""

    plain: Plain = field(default_factory=Plain)

    def align(self, writer: AvroType, reader: AvroType) -> Pair:
        """Return both types as plain schemas whose names agree where the types stand for each other."""
        if isinstance(writer, UnionOf) or isinstance(reader, UnionOf):
            return self._union(writer, reader)
        match writer, reader:
            case Record(), Record():
                return self._record(writer, reader)
            case ArrayOf(items=w), ArrayOf(items=r):
                inner = self.align(w, r)
                return Pair({"type": "array", "items": inner.writer}, {"type": "array", "items": inner.reader})
            case MapOf(values=w), MapOf(values=r):
                inner = self.align(w, r)
                return Pair({"type": "map", "values": inner.writer}, {"type": "map", "values": inner.reader})
            case (Enum(), Enum()) | (Fixed(), Fixed()):
                return self._named(writer, reader)
            case _:
                return Pair(self.plain.spell(writer), self.plain.spell(reader))

    def _named(self, writer: AvroType, reader: AvroType) -> Pair:
        name = {"name": self.plain.name()}
        default = getattr(reader, "default", None)
        fallback = {} if default is None else {"default": default}
        return Pair(self.plain.spell(writer) | name, self.plain.spell(reader) | name | fallback)

    def _record(self, writer: Record, reader: Record) -> Pair:
        matched = {each.name: writer_field(writer, each) for each in reader.fields}
        pairs: dict[str, Pair] = {}
        fields: list[Json] = []
        for each in reader.fields:
            found = matched[each.name]
            if found is not None and found.name not in pairs:
                pairs[found.name] = self.align(found.type, each.type)
                fields.append({"name": each.name, "aliases": [found.name], "type": pairs[found.name].reader})
        written = {
            each.name: pairs[each.name].writer if each.name in pairs else self.plain.spell(each.type)
            for each in writer.fields
        }
        name = self.plain.name()
        return Pair(self.plain.record(written, name), {"type": "record", "name": name, "fields": fields})

    def _union(self, writer: AvroType, reader: AvroType) -> Pair:
        """Align branch by branch; a named branch of the reader is given to the first of the writer that wants it."""
        options = branches(reader)
        spelled: dict[int, Json] = {}
        written = []
        for each in branches(writer):
            wanted = reader_branch(each, options)
            at = -1 if wanted is None else options.index(wanted)
            if wanted is None or (at in spelled and kind(wanted) not in {"array", "map"}):
                written.append(self.plain.spell(each))
            else:
                pair = self.align(each, wanted)
                spelled[at] = pair.reader
                written.append(pair.writer)
        read = [spelled.get(at) or self.plain.spell(each) for at, each in enumerate(options)]
        return Pair(
            written if isinstance(writer, UnionOf) else written[0],
            read if isinstance(reader, UnionOf) else read[0],
        )
