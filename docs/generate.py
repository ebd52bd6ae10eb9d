"""Rewrites the tables of docs/settings.md from the settings themselves; what stands between the tables is kept.

python docs/generate.py          writes the file
python docs/generate.py --check  exits 1 when the file is not what it would write
"""  # noqa: INP001 - a script

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from stream_infer.settings import json_schema
from stream_infer.settings.options import Option, all_options
from stream_infer.settings.unready import UNREADY

DOCUMENT: Final = Path(__file__).with_name("settings.md")
TABLE: Final = re.compile(r"(?P<start><!-- table (?P<name>\w+) -->\n).*?(?P<end><!-- end -->)", re.DOTALL)
UNITS: Final[Mapping[str, str]] = {
    "_ms": "milliseconds",
    "_s": "seconds",
    "_bytes": "bytes",
    "_records": "records",
    "_batch_size": "records",
    "_batches": "batches",
}
TYPES: Final[Mapping[str, str]] = {
    "boolean": "`true`, `false`",
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "array": "list of text",
    "object": "names with values",
    "null": "`null`",
}
BOUNDS: Final[Mapping[str, str]] = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤"}
Node = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Note:
    """A setting that does less in this version than its meaning says, and what to know about it."""

    name: str
    text: str


# A test holds this against the package: nothing there reads one of these, and everything else is read.
LATER: Final = (Note("model.trusted_keys", "signed rollouts"),)
PARTLY: Final = (Note("model.cache_directory", "compiled graphs are not kept there"),)


def filled(text: str) -> str:
    """Return the document with every table written anew; raises KeyError for one that has no writer."""
    tables = {"settings": _settings, "later": _later, "partly": _partly, "refused": _refused}
    return TABLE.sub(lambda found: f"{found['start']}\n{tables[found['name']]()}\n{found['end']}", text)


def _settings() -> str:
    root = json.loads(json_schema())
    return "\n".join(_section(name, list(inside), root) for name, inside in groupby(all_options(), key=_top))


def _top(option: Option) -> str:
    return option.path[0] if len(option.path) > 1 else ""


def _section(name: str, options: Sequence[Option], root: Node) -> str:
    title = f"### `{name}`\n\n{_words(_node((name,), root)['description'])}" if name else "### At the top"
    rows = [_row(option, _node(option.path, root)) for option in options]
    return f"{title}\n\n{_table(['setting', 'takes', 'default', 'meaning', 'environment'], rows)}"


def _row(option: Option, node: Node) -> list[str]:
    variable = option.variable + ("__<NAME>" if option.is_map else "")
    meaning = f"{_words(node['description'])}{_mark(option.name)}"
    return [f"`{option.name}`", " or ".join(_takes(node, option)), _default(node), meaning, f"`{variable}`"]


def _words(text: str) -> str:
    """Return a description on one line, with what would be taken for a tag spelt out."""
    return " ".join(text.split()).replace("<", "&lt;")


def _mark(name: str) -> str:
    if name in {one.name for one in LATER}:
        return " *Not read yet.*"
    return " *In part.*" if name in {one.name for one in PARTLY} else ""


def _takes(node: Node, option: Option) -> Iterator[str]:
    for one in node.get("anyOf", [node]):
        if "enum" in one:
            yield ", ".join(f"`{value}`" for value in one["enum"])
        elif one["type"] in {"integer", "number"}:
            unit = next((word for end, word in UNITS.items() if option.name.endswith(end)), TYPES[one["type"]])
            bounds = ", ".join(f"{sign} {one[bound]}" for bound, sign in BOUNDS.items() if bound in one)
            yield f"{unit} {bounds}".strip()
        else:
            yield "path" if one.get("format") == "path" else TYPES[one["type"]]


def _default(node: Node) -> str:
    empty: Any = {} if node.get("type") == "object" else None
    value = node.get("default", empty)
    return f"`{value}`" if isinstance(value, str) else f"`{json.dumps(value)}`"


def _node(path: Sequence[str], root: Node) -> Node:
    """Return the schema of a setting or section; a section is described where it is defined."""
    node = root
    for step in path:
        node = node["properties"][step]
        node = root["$defs"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node
    return node


def _later() -> str:
    return _table(["setting", "starts to matter with"], [[f"`{one.name}`", one.text] for one in LATER])


def _partly() -> str:
    return _table(["setting", "in this version"], [[f"`{one.name}`", one.text] for one in PARTLY])


def _refused() -> str:
    rows = [[f"`{one.name}`", f"`{json.dumps(one.value).strip(chr(34))}`", f"`{one.instead}`"] for one in UNREADY]
    return _table(["setting", "refused value", "use"], rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


if __name__ == "__main__":
    before = DOCUMENT.read_text(encoding="utf-8")
    after = filled(before)
    if "--check" not in sys.argv:
        DOCUMENT.write_text(after, encoding="utf-8")
    elif before != after:
        sys.exit("docs/settings.md is not what the settings say: run `python docs/generate.py`.")
