"""The kinds of value that settings are made of: each refuses what it is not with a sentence of its own."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, WithJsonSchema

from stream_infer.settings import paths


class Section(BaseModel):
    """A frozen group of settings; unknown names are refused and defaults are checked like given values."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_default=True,
        coerce_numbers_to_str=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        protected_namespaces=(),
    )


def base_folder(info: ValidationInfo) -> Path:
    """Return the folder that relative paths start from: the settings file's, else the working directory."""
    context = info.context if isinstance(info.context, Mapping) else {}
    return Path(context.get("base") or Path.cwd())


def _not_a_truth(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("Input should be a number")  # noqa: TRY004 - pydantic reports only ValueError as a finding
    return value


def matching(pattern: str, expected: str) -> AfterValidator:
    """Return a check for text that matches a pattern as a whole; `expected` says the pattern to a person."""

    def check(text: str) -> str:
        if re.fullmatch(pattern, text) is None:
            raise ValueError(f"Input should be {expected}")
        return text

    return AfterValidator(check)


def _as_list(value: object) -> object:
    return value.replace(",", " ").split() if isinstance(value, str) else value


def _as_text(value: object) -> object:
    """Return a property's value as librdkafka wants it: text, with truth values in lower case."""
    return str(value).lower() if isinstance(value, bool) else value


def _unique(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) != len(names):
        raise ValueError("Input should name each one once")
    return names


def _schema_file(value: str | Path, info: ValidationInfo) -> Path:
    return paths.find_schema(Path(value), base=base_folder(info))


def _file(value: str | Path, info: ValidationInfo) -> Path:
    return paths.absolute(Path(value), base=base_folder(info))


def _location(value: str, info: ValidationInfo) -> str:
    return value if "://" in value else str(paths.absolute(Path(value), base=base_folder(info)))


def _any_of_null(kind: str) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [{"type": kind}, {"type": "null"}]})


_NUMBER: Final = BeforeValidator(_not_a_truth)
Count = Annotated[int, Field(ge=1), _NUMBER]
"""A whole number of at least 1."""
Bytes = Annotated[int, Field(ge=0), _NUMBER]
"""A whole number of bytes, 0 or more."""
Milliseconds = Annotated[float, Field(ge=0), _NUMBER]
"""Milliseconds, 0 or more; fractions allowed."""
WholeMilliseconds = Annotated[int, Field(ge=1), _NUMBER]
"""Whole milliseconds, 1 or more."""
Seconds = Annotated[float, Field(ge=0), _NUMBER]
"""Seconds, 0 or more; fractions allowed."""
SomeSeconds = Annotated[float, Field(gt=0), _NUMBER]
"""Seconds, more than 0; fractions allowed."""
Ratio = Annotated[float, Field(gt=0, le=1), _NUMBER]
"""A share: more than 0, at most 1."""
Port = Annotated[int, Field(ge=1, le=65535), _NUMBER]
"""A TCP port."""

Text = Annotated[str, Field(min_length=1)]
"""Text of at least one character."""
TopicName = Annotated[str, matching(r"[a-zA-Z0-9._-]{1,249}", "1 to 249 letters, digits, dots, underscores or dashes")]
"""A name that Kafka takes for a topic."""
TopicNames = Annotated[tuple[TopicName, ...], BeforeValidator(_as_list), AfterValidator(_unique), Field(min_length=1)]
"""One or more topic names; in text separated by commas."""
Names = Annotated[tuple[Text, ...], BeforeValidator(_as_list), AfterValidator(_unique)]
"""Names, perhaps none; in text separated by commas."""

FilePath = Annotated[Path, AfterValidator(_file)]
"""A file or folder, made absolute."""
SchemaFile = Annotated[Path, AfterValidator(_schema_file)]
"""An Avro schema file, made absolute; one that is not there comes from the package."""
Location = Annotated[str, Field(min_length=1), AfterValidator(_location)]
"""A URL as it is, or a folder, made absolute."""
PropertyValue = Annotated[str, BeforeValidator(_as_text)]
"""A librdkafka property's value, as text."""

# Typed as what they are after the whole was put together, so that no reader has to ask for null again.
ComputedTopic = Annotated[TopicName, _any_of_null("string")]
ComputedText = Annotated[Text, _any_of_null("string")]
ComputedFolder = Annotated[FilePath, _any_of_null("string")]
ComputedMilliseconds = Annotated[WholeMilliseconds, _any_of_null("integer")]

COMPUTED: Final[Any] = None
"""The default of a setting that is computed from others when it is null."""
