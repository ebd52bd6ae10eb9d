import ast

import pytest

from tests.house.source import PACKAGE, Module, modules

LONGEST_FILE = 300
LONGEST_FUNCTION = 30


@pytest.mark.parametrize("module", modules(), ids=lambda module: module.name)
def test_files_and_functions_stay_short(module: Module) -> None:
    functions = [node for node in ast.walk(module.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    long = {node.name for node in functions if (node.end_lineno or 0) - node.lineno + 1 > LONGEST_FUNCTION}
    assert long == set()
    assert len(module.path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE


def test_the_docstring_of_the_package_is_its_map() -> None:
    text = ast.get_docstring(Module(PACKAGE / "__init__.py").tree) or ""
    named = [line.split()[0] for line in text.splitlines() if line.startswith("    ")]
    folders = [f"{path.parent.name}/" for path in PACKAGE.glob("*/__init__.py")]
    files = [path.stem for path in PACKAGE.glob("*.py") if path.stem != "__init__"]
    assert sorted(named) == sorted(folders + files)
