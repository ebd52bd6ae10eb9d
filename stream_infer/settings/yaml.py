"""A YAML file as its leaves, each with its line: so that a wrong value can be pointed at."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from stream_infer.errors import WrongUse


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value that is no mapping, the names that lead to it, and its line, counted from 1."""

    path: tuple[str, ...]
    value: Any
    line: int


def read_leaves(text: str, *, source: str) -> tuple[Leaf, ...]:
    """Return the leaves of a YAML mapping; a section that is left empty has none.

    Dots in a name count as steps of the path, so `security.protocol: SSL` and `security: {protocol: SSL}` are equal.
    Raises WrongUse when the text is no YAML, no mapping, or says a name twice.
    """
    loader = yaml.SafeLoader(text)
    try:
        return _unique(_read(loader), source=source)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise WrongUse(f"{source}:{line} is no valid YAML: {error.problem}.") from error
    except yaml.YAMLError as error:
        raise WrongUse(f"{source} is no valid YAML: {' '.join(str(error).split())}.") from error
    finally:
        loader.dispose()


def _read(loader: yaml.SafeLoader) -> Iterator[Leaf]:
    root = loader.get_single_node()
    if root is None:
        return
    if not isinstance(root, yaml.MappingNode):
        raise yaml.MarkedYAMLError(problem="expected names with values", problem_mark=root.start_mark)
    yield from _walk(loader, root, above=())


def _walk(loader: yaml.SafeLoader, node: yaml.MappingNode, *, above: tuple[str, ...]) -> Iterator[Leaf]:
    loader.flatten_mapping(node)
    for key, value in node.value:
        path = (*above, *str(loader.construct_object(key, deep=True)).split("."))
        if isinstance(value, yaml.MappingNode):
            yield from _walk(loader, value, above=path)
        else:
            yield Leaf(path, loader.construct_object(value, deep=True), key.start_mark.line + 1)


def _unique(leaves: Iterator[Leaf], *, source: str) -> tuple[Leaf, ...]:
    seen: dict[tuple[str, ...], Leaf] = {}
    for leaf in leaves:
        first = seen.setdefault(leaf.path, leaf)
        if first is not leaf:
            name = ".".join(leaf.path)
            raise WrongUse(f"{source}:{leaf.line} says {name} again, expected it once; line {first.line} has it.")
    return tuple(seen.values())
