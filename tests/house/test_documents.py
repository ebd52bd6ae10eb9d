import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet

from stream_infer.testing.kafka.properties import free_port
from tests.house.source import ROOT

DOCUMENTS = ["README.md", "CONTRIBUTING.md", *(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/**/*.md"))]
RUNNERS = {"sh": ["bash", "-euo", "pipefail", "-c"], "python": [sys.executable, "-c"]}
PAGES = "http://127.0.0.1:6066"
FENCE = re.compile(
    r"^```(?P<language>\w+) (?P<tags>[\w ]*\btest\b[\w ]*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block tagged `test`, as ```sh test or ```python test kafka; `kafka`: with the address of a broker."""

    language: str
    tags: frozenset[str]
    code: str


def blocks(text: str) -> list[Block]:
    return [Block(m["language"], frozenset(m["tags"].split()), m["code"]) for m in FENCE.finditer(text)]


def marked() -> list[ParameterSet]:
    """Return the README, which must have such blocks, and every other document that has some."""
    found = {name: blocks((ROOT / name).read_text(encoding="utf-8")) for name in DOCUMENTS}
    return [
        pytest.param(name, marks=[pytest.mark.broker] if any("kafka" in block.tags for block in run) else [])
        for name, run in found.items()
        if run or name == "README.md"
    ]


@pytest.mark.parametrize("document", marked())
def test_the_marked_blocks_of_a_document_run_one_after_the_other(
    document: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    run = blocks((ROOT / document).read_text(encoding="utf-8"))
    assert run
    environment = dict(os.environ, PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if any("kafka" in block.tags for block in run):
        environment["STREAM_INFER_KAFKA__BOOTSTRAP_SERVERS"] = request.getfixturevalue("kafka").bootstrap_servers
    # Another worker on this machine may have the port that documents name.
    port = environment["STREAM_INFER_WEB__PORT"] = str(free_port())
    for block in run:
        command = [*RUNNERS[block.language], block.code.replace(PAGES, PAGES.replace("6066", port))]
        ended = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=500, check=False
        )
        assert ended.returncode == 0, f"{block.code}\n{ended.stdout}\n{ended.stderr}"


def test_a_block_is_run_only_when_it_says_so() -> None:
    text = "```sh\nno\n```\n```sh test\nyes\n```\n```python test kafka\nalso()\n```\n```testing\nno\n```\n"
    assert [(block.language, sorted(block.tags), block.code) for block in blocks(text)] == [
        ("sh", ["test"], "yes\n"),
        ("python", ["kafka", "test"], "also()\n"),
    ]
