import ast
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "stream_infer"


@dataclass(frozen=True, slots=True)
class Module:
    """One file of the package; `name` is its path below the package, `part` the first step of that path."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.relative_to(PACKAGE).as_posix()

    @property
    def part(self) -> str:
        return self.name.split("/")[0].removesuffix(".py")

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.path.read_text(encoding="utf-8"))

    def imports(self) -> set[str]:
        """Return the dotted names of the modules that it imports anywhere, also inside functions."""
        nodes = list(ast.walk(self.tree))
        plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        return plain | {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}


def modules() -> list[Module]:
    return [Module(path) for path in sorted(PACKAGE.rglob("*.py"))]
