"""`model.yaml`: what a model version says about itself."""

import difflib
import hashlib
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from stream_infer.errors import Stop

MANIFEST_NAME: Final = "model.yaml"
MAX_MANIFEST_BYTES: Final = 1 << 20

DTypeName = Literal["float32", "float64", "float16", "bfloat16", "int64", "int32", "uint8", "bool"]
Name = Annotated[str, Field(min_length=1)]

# What a stand-in for nulls may be; floating types take any number.
_WHOLE_NUMBERS: Final[Mapping[str, range]] = {
    "int64": range(-(2**53), 2**53 + 1),
    "int32": range(-(2**31), 2**31),
    "uint8": range(256),
    "bool": range(2),
}


class Part(BaseModel):
    """A part of the manifest: frozen, and it refuses keys that it does not know."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown(cls, value: Any) -> Any:
        for key in value if isinstance(value, dict) else ():
            if key not in cls.model_fields:
                near = difflib.get_close_matches(str(key), cls.model_fields, n=1, cutoff=0.0)[0]
                raise _wrong(f"has the unknown key {key}, expected a known one: the nearest is {near}")
        return value


def _wrong(sentence: str) -> PydanticCustomError:
    return PydanticCustomError("manifest", "{sentence}", {"sentence": sentence})


class FileEntry(Part):
    """What a file must be: SHA-256 in lower-case hexadecimal digits, and its size in bytes."""

    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    size_bytes: Annotated[int, Field(ge=0)]


class Architecture(Part):
    """The code that safetensors weights belong to: a name of the entry-point group and its keyword arguments."""

    name: Name
    args: dict[str, Any] = Field(default_factory=dict)


class Input(Part):
    """One argument of the model: an array field, or several scalar fields side by side.

    `shape` leaves out the batch dimension; `nulls` stands in for a null, and without it a null is a dead letter.
    """

    name: Name
    field: Name | None = None
    fields: Annotated[tuple[Name, ...], Field(min_length=1)] | None = None
    dtype: DTypeName = "float32"
    shape: tuple[PositiveInt, ...] | None = None
    nulls: float | None = None

    @model_validator(mode="after")
    def _check(self) -> "Input":
        if (self.field is None) == (self.fields is None):
            raise _wrong(
                f"({self.name}) has {'neither' if self.field is None else 'both'}, expected `field` or `fields`"
            )
        if self.field is not None and self.shape is None:
            raise _wrong(f"({self.name}) has no shape, expected the lengths without the batch, [] for a single number")
        if self.fields is not None and self.shape not in {None, (len(self.fields),)}:
            raise _wrong(
                f"({self.name}) has shape {list(self.shape or ())}, expected [{len(self.fields)}]: one per field"
            )
        whole = _WHOLE_NUMBERS.get(self.dtype)
        # As a whole number: a range looks for a float by counting up to it.
        fits = whole is None or self.nulls is None or (self.nulls.is_integer() and int(self.nulls) in whole)
        if not fits:
            raise _wrong(f"({self.name}) has nulls {self.nulls}, expected a number that fits {self.dtype}")
        return self

    @property
    def row_shape(self) -> tuple[int, ...]:
        """Shape of one row."""
        return self.shape if self.shape is not None else (len(self.fields or ()),)

    @property
    def sources(self) -> tuple[str, ...]:
        """Input fields it is read from, dotted paths."""
        return self.fields or (self.field or "",)


class Outputs(Part):
    """What the model's output means."""

    task: Literal["classification", "regression", "raw"]
    activation: Literal["softmax", "sigmoid", "none"] = "none"
    labels: Annotated[tuple[Name, ...], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _check(self) -> "Outputs":
        if self.labels and self.task != "classification":
            raise _wrong(f"has labels with task {self.task}, expected them with classification only")
        if self.labels and len(set(self.labels)) < len(self.labels):
            raise _wrong("names a label twice, expected distinct labels")
        return self


class Manifest(Part):
    """A whole `model.yaml`."""

    format: Name
    artifact: Name
    architecture: Architecture | None = None
    inputs: Annotated[tuple[Input, ...], Field(min_length=1)]
    outputs: Outputs
    max_batch_size: PositiveInt | None = None
    allowed_batch_sizes: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] | None = None
    precision: Literal["float32", "tf32", "float16", "bfloat16"] = "float32"
    compile: Literal["none", "inductor", "cuda_graphs"] = "none"
    files: dict[str, FileEntry]
    golden: Name | None = None
    golden_tolerance: Annotated[float, Field(ge=0)] = 1.0e-4
    handler: Name | None = None

    @model_validator(mode="after")
    def _check(self) -> "Manifest":
        sizes = self.allowed_batch_sizes or ()
        if any(left >= right for left, right in pairwise(sizes)):
            raise _wrong(f"has allowed_batch_sizes {list(sizes)}, expected ascending numbers")
        for name in filter(None, (self.artifact, self.golden)):
            if name not in self.files:
                raise _wrong(f"lists no {name} under files, expected its sha256 and size_bytes there")
        return self

    @property
    def fields(self) -> tuple[str, ...]:
        """Input fields that the version needs, each once, in the order of its inputs; dotted paths."""
        return tuple(dict.fromkeys(field for one in self.inputs for field in one.sources))


def digest_of(content: bytes) -> str:
    """Return a version's digest: the SHA-256 of `model.yaml`'s bytes, in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def parse_manifest(content: bytes, *, source: str) -> Manifest:
    """Return the manifest in these bytes of YAML; `source` names them in errors.

    Raises Stop with one sentence that names the key, what was found and what was expected.
    """
    value = load_mapping(content, source=source)
    try:
        return Manifest.model_validate(value)
    except ValidationError as error:
        raise Stop(f"{source}: {_sentence(error)}") from error


def load_mapping(content: bytes, *, source: str) -> dict[str, Any]:
    """Return the mapping in these bytes of YAML. Raises Stop when they are too many, no YAML, or no mapping."""
    if len(content) > MAX_MANIFEST_BYTES:
        raise Stop(f"{source} has {len(content)} bytes, expected at most {MAX_MANIFEST_BYTES}")
    try:
        value = yaml.safe_load(content)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Stop(f"{source} is no valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(value, dict):
        raise Stop(f"{source} holds {type(value).__name__}, expected a mapping of names to values")
    return value


def read_manifest_bytes(directory: Path) -> bytes:
    """Return the bytes of a version's `model.yaml`. Raises Stop when there is none that can be read."""
    path = directory / MANIFEST_NAME
    try:
        with path.open("rb") as file:
            return file.read(MAX_MANIFEST_BYTES + 1)
    except OSError as error:
        raise Stop(f"{path} cannot be read ({error.strerror}), expected a model version's manifest") from error


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    where = _path(first["loc"]) or "the manifest"
    if first["type"] == "manifest":
        return f"{where} {first['msg']}"
    if first["type"] == "missing":
        return f"{where} is missing, expected a value"
    said = first["msg"][0].lower() + first["msg"][1:]
    return f"{where} is {_shorten(first['input'])}: {said}"


def _path(location: tuple[int | str, ...]) -> str:
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return "".join(steps).removeprefix(".")


def _shorten(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."  # noqa: PLR2004 - what fits a line
