from pathlib import Path

import pytest
from typer.testing import CliRunner

from stream_infer.cli.model import app
from stream_infer.errors import StreamInferError
from stream_infer.testing.models import MadeVersion
from tests.model.made import WIDTH


def run(*arguments: str) -> list[str]:
    """Return the lines that a command prints; what it raises is printed by the main program."""
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout.splitlines()


def test_a_version_is_packaged_verified_and_listed(made: MadeVersion, tmp_path: Path) -> None:
    options = ("--artifact", str(made.path / "model.pt2"), "--name", "fraud", "--version", "1")
    described = ("--field", "features", "--shape", str(WIDTH), "--task", "classification", "--labels", "a,b,c")
    folder = tmp_path / "fraud" / "1"
    assert str(folder) in run("package", *options, "--repository", str(tmp_path), *described)[0]
    assert [line.partition(":")[0] for line in run("verify", str(folder))] == ["files", "load", "run"]
    assert run("list", "--repository", str(tmp_path)) == [f"fraud\t1\t{folder}"]
    assert run("list", "--set", f"model.repository={tmp_path}") == [f"fraud\t1\t{folder}"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("verify", "nowhere"), "model.yaml cannot be read"),
        (("list", "--repository", "nowhere"), "is no folder"),
        (("list", "--set", "model.repositori=x"), "is no setting"),
    ],
)
def test_what_is_wrong_is_raised_as_one_sentence(arguments: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(StreamInferError, match=sentence):
        run(*arguments)
