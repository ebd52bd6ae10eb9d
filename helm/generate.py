"""Writes what the chart takes from the worker and from its own values, so that neither can drift.

python helm/generate.py          writes the files
python helm/generate.py --check  exits 1 when one of them is not what it would write

values.schema.json    the definitions of `config`, from `stream-infer config --schema`; the rest of the file is kept
files/settings.json   the worker's defaults, for templates that compute with them, and which property names are secrets
Chart.yaml            appVersion, which is the image's tag unless another is named
README.md             the table of values, from values.yaml and its comments; what stands around it is kept
files/dashboard.json  the Grafana dashboard, from its table in dashboard.py
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from dashboard import dashboard

from stream_infer import __version__
from stream_infer.settings import json_schema, secrets
from stream_infer.settings.options import all_options

CHART: Final = Path(__file__).with_name("stream-infer")
SETTINGS: Final = "Settings"
OWN: Final = "chart."
BELOW: Final = object()
HEAD: Final = "| value | default | meaning |\n| --- | --- | --- |\n"
WORDS: Final = {"title", "default", "description"}
TABLE: Final = re.compile(r"(<!-- values -->\n).*?(<!-- end -->)", re.DOTALL)
APP_VERSION: Final = re.compile(r"^appVersion: .*$", re.MULTILINE)
# What the worker takes for text in a settings file: YAML reads `version: 2` as a number.
TEXT_OR_NUMBER: Final = ["string", "number"]
TEXT_NUMBER_OR_TRUTH: Final = ["string", "number", "boolean"]
Node = Mapping[str, Any]


def values_schema(text: str) -> str:
    """Return the schema of the values with the definitions of the settings written anew."""
    schema = json.loads(text)
    own = {name: node for name, node in schema["definitions"].items() if name.startswith(OWN)}
    settings = json.loads(json_schema())
    inner = settings.pop("$defs")
    schema["definitions"] = own | {name: _node(node) for name, node in sorted({**inner, SETTINGS: settings}.items())}
    return json.dumps(schema, indent=2) + "\n"


def _node(node: Node) -> dict[str, Any]:
    """Return a part of the settings' schema as draft 7 says it, without titles and defaults."""
    if "$ref" in node:
        return {"$ref": node["$ref"].replace("#/$defs/", "#/definitions/")}
    kept = {key: value for key, value in node.items() if key not in WORDS}
    if "properties" in kept:
        kept["properties"] = {name: _node(inner) for name, inner in node["properties"].items()}
    if isinstance(kept.get("additionalProperties"), dict):
        kept["additionalProperties"] = {"type": TEXT_NUMBER_OR_TRUTH}
    if "anyOf" in kept:
        kept["anyOf"] = [_node(inner) for inner in node["anyOf"]]
    if kept.get("type") == "array":
        return _list_or_text(kept)
    if kept.get("type") == "string" and "enum" not in kept:
        kept["type"] = TEXT_OR_NUMBER
    kept.pop("format", None)
    return kept


def _list_or_text(node: Node) -> dict[str, Any]:
    """Return the schema of a list that may be one text, separated by commas; pydantic writes its length as a text's."""
    items = {"type": "array", "items": {"type": TEXT_OR_NUMBER}, "uniqueItems": True}
    text: dict[str, Any] = {"type": "string"}
    if "minLength" in node:
        items["minItems"] = text["minLength"] = node["minLength"]
    return {"anyOf": [items, text]}


def settings_file() -> str:
    """Return the defaults by dotted name, and the patterns of names that are and are not secret."""
    root = json.loads(json_schema())
    defaults = {option.name: _default(option.path, root) for option in all_options()}
    found = {
        "defaults": defaults,
        "secretPattern": "(?i)" + re.sub(r"\s", "", secrets._SECRET.pattern),  # noqa: SLF001 - the one list of them
        "publicPattern": secrets._PUBLIC.pattern,  # noqa: SLF001 - the one list of them
    }
    return json.dumps(found, indent=2) + "\n"


def _default(path: tuple[str, ...], root: Node) -> Any:
    node = root
    for step in path:
        node = node["properties"][step]
        node = root["$defs"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node
    return node.get("default", {} if node.get("type") == "object" else None)


def readme(text: str, *, values: str) -> str:
    """Return the README with its table written anew."""
    rows = "".join(f"| `{name}` | {default} | {meaning} |\n" for name, default, meaning in _rows(values))
    return TABLE.sub(lambda found: f"{found[1]}\n{HEAD}{rows}\n{found[2]}", text)


def _rows(values: str) -> Iterator[tuple[str, str, str]]:
    """Yield name, default and meaning of every value; a map with comments inside is followed by what is inside."""
    comments = dict(_comments(values))
    for path, value in _leaves(yaml.safe_load(values), (), comments):
        shown = "below" if value is BELOW else f"`{json.dumps(value)}`"
        yield ".".join(path), shown, comments[path].replace("<", "&lt;").replace("|", "\\|")


def _leaves(
    node: Any, path: tuple[str, ...], comments: Mapping[tuple[str, ...], str]
) -> Iterator[tuple[tuple[str, ...], Any]]:
    inside = any(other[: len(path)] == path and len(other) > len(path) for other in comments)
    if isinstance(node, dict) and inside:
        if path in comments:
            yield path, BELOW
        for key, inner in node.items():
            yield from _leaves(inner, (*path, key), comments)
    else:
        yield path, node


def _comments(values: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the comment above each key, by the key's path."""
    path: list[tuple[int, str]] = []
    words: list[str] = []
    for line in values.splitlines():
        stripped = line.strip()
        indent = len(line) - len(line.lstrip())
        if stripped.startswith("# "):
            words.append(stripped[2:])
        elif found := re.match(r"([\w.]+):", stripped):
            path = [step for step in path if step[0] < indent] + [(indent, found[1])]
            if words:
                yield tuple(step[1] for step in path), " ".join(words)
            words = []
        else:
            words = []


def written() -> Iterator[tuple[Path, str]]:
    """Yield every file that this script writes, and what it should hold."""
    schema, document = CHART / "values.schema.json", CHART / "README.md"
    chart = CHART / "Chart.yaml"
    yield chart, APP_VERSION.sub(f"appVersion: {__version__}", chart.read_text(encoding="utf-8"))
    yield schema, values_schema(schema.read_text(encoding="utf-8"))
    yield CHART / "files" / "settings.json", settings_file()
    yield CHART / "files" / "dashboard.json", dashboard()
    values = (CHART / "values.yaml").read_text(encoding="utf-8")
    yield document, readme(document.read_text(encoding="utf-8"), values=values)


def main() -> None:
    """Write, or look."""
    for path, text in written():
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        if "--check" not in sys.argv:
            path.write_text(text, encoding="utf-8")
        elif before != text:
            sys.exit(f"{path.name} of the chart is not what it should be: run `python helm/generate.py`.")


if __name__ == "__main__":
    main()
