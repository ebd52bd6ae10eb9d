"""What a Schema Registry remembers and decides, without the HTTP around it."""

import json
import threading
import uuid
from dataclasses import dataclass, field
from typing import Any, Final

LEVELS: Final = ("NONE", "BACKWARD", "BACKWARD_TRANSITIVE", "FORWARD", "FORWARD_TRANSITIVE", "FULL", "FULL_TRANSITIVE")
PROMOTIONS: Final = frozenset(
    {
        ("int", "long"),
        ("int", "float"),
        ("int", "double"),
        ("long", "float"),
        ("long", "double"),
        ("float", "double"),
        ("string", "bytes"),
        ("bytes", "string"),
    }
)


class RegistryRefusal(Exception):
    """An answer other than success: the HTTP status, the registry's own error code and a message."""

    def __init__(self, status: int, *, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class Stored:
    """One schema: its id, its GUID, its JSON text and its references as they were sent."""

    schema_id: int
    guid: str
    text: str
    references: tuple[dict[str, Any], ...] = ()


@dataclass(slots=True)
class RegistryStore:
    """Subjects with versions, ids that equal schemas share, and compatibility by simple rules."""

    default_level: str = "BACKWARD"
    _by_id: dict[int, Stored] = field(default_factory=dict)
    _subjects: dict[str, list[Stored]] = field(default_factory=dict)
    _levels: dict[str, str] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def register(self, subject: str, text: str, *, references: tuple[dict[str, Any], ...] = ()) -> tuple[Stored, int]:
        """Return the schema under this subject and its version, added unless it was there; 409 when incompatible."""
        with self._lock:
            stored = self._find(text, references) or self._new(text, references)
            versions = self._subjects.setdefault(subject, [])
            if stored not in versions:
                if not self.is_compatible(subject, text):
                    raise RegistryRefusal(409, code=409, message=f"Schema is incompatible with subject {subject}")
                self._by_id[stored.schema_id] = stored
                versions.append(stored)
            return stored, versions.index(stored) + 1

    def lookup(self, subject: str, text: str, *, references: tuple[dict[str, Any], ...] = ()) -> tuple[Stored, int]:
        """Return the schema under this subject and its version; 404 when it is not there."""
        with self._lock:
            versions, stored = self.versions(subject), self._find(text, references)
            if stored is None or stored not in versions:
                raise RegistryRefusal(404, code=40403, message="Schema not found")
            return stored, versions.index(stored) + 1

    def by_id(self, schema_id: int) -> Stored:
        """Return a schema by id; 404 when there is none."""
        if schema_id not in self._by_id:
            raise RegistryRefusal(404, code=40403, message=f"Schema {schema_id} not found")
        return self._by_id[schema_id]

    def by_guid(self, guid: str) -> Stored:
        """Return a schema by GUID; 404 when there is none."""
        found = [stored for stored in self._by_id.values() if stored.guid == guid]
        if not found:
            raise RegistryRefusal(404, code=40403, message=f"Schema {guid} not found")
        return found[0]

    def subjects(self) -> list[str]:
        """Return the names of all subjects."""
        return sorted(self._subjects)

    def versions(self, subject: str) -> list[Stored]:
        """Return the schemas of a subject, the first version first; 404 when there is no such subject."""
        if not self._subjects.get(subject):
            raise RegistryRefusal(404, code=40401, message=f"Subject '{subject}' not found")
        return self._subjects[subject]

    def version(self, subject: str, number: str) -> tuple[Stored, int]:
        """Return one version of a subject, or with `latest` its last, and its number; 404 when there is none."""
        versions = self.versions(subject)
        wanted = len(versions) if number in {"latest", "-1"} else int(number)
        if not 1 <= wanted <= len(versions):
            raise RegistryRefusal(404, code=40402, message=f"Version {number} not found")
        return versions[wanted - 1], wanted

    def level(self, subject: str | None) -> str:
        """Return the compatibility level of a subject, or the one that holds for all others."""
        return self._levels.get(subject or "", self.default_level)

    def set_level(self, subject: str | None, level: str) -> None:
        """Set a compatibility level, of a subject or for all others; 422 for one that does not exist."""
        if level not in LEVELS:
            raise RegistryRefusal(422, code=42203, message=f"Invalid compatibility level {level}")
        if subject is None:
            self.default_level = level
        else:
            self._levels[subject] = level

    def is_compatible(self, subject: str, text: str) -> bool:
        """Say whether a schema may follow those that the subject has, by the level that holds for it."""
        level, versions = self.level(subject), self._subjects.get(subject, [])
        others = versions if level.endswith("_TRANSITIVE") else versions[-1:]
        new = _parsed(text)
        return all(_agree(level.removesuffix("_TRANSITIVE"), new, json.loads(old.text)) for old in others)

    def _find(self, text: str, references: tuple[dict[str, Any], ...]) -> Stored | None:
        wanted = (_canonical(text), references)
        return next((one for one in self._by_id.values() if (_canonical(one.text), one.references) == wanted), None)

    def _new(self, text: str, references: tuple[dict[str, Any], ...]) -> Stored:
        guid = str(uuid.uuid5(uuid.NAMESPACE_OID, _canonical(text) + json.dumps(references)))
        return Stored(len(self._by_id) + 1, guid, text, references)


def can_read(reader: Any, writer: Any) -> bool:
    """Say whether data of one Avro schema resolves to another; names, aliases and logical types are not compared."""
    if isinstance(writer, list):
        return all(can_read(reader, branch) for branch in writer)
    if isinstance(reader, list):
        return any(can_read(branch, writer) for branch in reader)
    kind, written = _kind(reader), _kind(writer)
    if kind == written == "record":
        return _fields_read(reader, writer)
    if kind == written and kind in {"array", "map"}:
        inner = "items" if kind == "array" else "values"
        return can_read(reader[inner], writer[inner])
    if kind == written == "enum":
        return set(writer["symbols"]) <= set(reader["symbols"]) or "default" in reader
    return kind == written or (written, kind) in PROMOTIONS


def _fields_read(reader: dict[str, Any], writer: dict[str, Any]) -> bool:
    written = {one["name"]: one["type"] for one in writer["fields"]}
    return all(
        can_read(one["type"], written[one["name"]]) if one["name"] in written else "default" in one
        for one in reader["fields"]
    )


def _agree(level: str, new: Any, old: Any) -> bool:
    backward = can_read(new, old) or level in {"NONE", "FORWARD"}
    forward = can_read(old, new) or level in {"NONE", "BACKWARD"}
    return backward and forward


def _kind(schema: Any) -> str:
    kind = schema["type"] if isinstance(schema, dict) else schema
    return kind if isinstance(kind, str) else _kind(kind)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise RegistryRefusal(422, code=42201, message="Invalid schema") from error


def _canonical(text: str) -> str:
    return json.dumps(_parsed(text), sort_keys=True)
