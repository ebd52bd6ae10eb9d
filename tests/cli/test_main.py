import json
import subprocess
import sys
from pathlib import Path

import pytest

from stream_infer import __version__
from stream_infer.cli import run
from stream_infer.cli.commands import COMMANDS


def test_the_version_is_printed_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"stream-infer {__version__}\n"


def test_help_names_every_command_and_the_settings_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out
    assert [entry.name for entry in COMMANDS if entry.name not in shown] == []


@pytest.mark.parametrize("command", [["topics", "create"], ["produce"], ["consume"], ["config"], ["worker"], ["demo"]])
def test_every_command_takes_the_common_options(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command, "--help"]) == 0
    shown = capsys.readouterr().out
    common = ["--config", "--set", "--bootstrap-servers", "--log-level", "--debug"]
    assert [option for option in common if option not in shown] == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Missing command. See: stream-infer --help\n"),
        (["confg"], "No such command 'confg'. Did you mean 'config'. See: stream-infer --help\n"),
        (["config", "--nope"], "No such option: --nope. See: stream-infer config --help\n"),
        (
            ["config", "--set", "web.prt=1"],
            "web.prt (--set) is no setting, expected one that is: the nearest is web.port.\n",
        ),
        (["produce", "--rate", "0"], "Invalid value for '--rate'"),
    ],
)
def test_wrong_use_is_one_sentence_on_standard_error_and_exit_code_2(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith(sentence)
    assert shown.out == ""


def test_only_debug_shows_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    wrong = ["config", "--set", "web.prt=1"]
    run(wrong)
    assert "Traceback" not in capsys.readouterr().err
    assert run([*wrong, "--debug"]) == 2
    assert capsys.readouterr().err.startswith("Traceback")


def test_named_flags_win_over_set(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--bootstrap-servers", "b:1", "--set", "kafka.bootstrap_servers=a:1", "--log-level", "error"]
    assert run(["config", *arguments]) == 0
    shown = capsys.readouterr().out
    assert 'bootstrap_servers: "b:1"' in shown
    assert 'level: "error"' in shown


def test_config_can_print_the_schema_of_a_settings_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "--schema"]) == 0
    assert "batching" in json.loads(capsys.readouterr().out)["properties"]


@pytest.mark.parametrize("arguments", [["--help"], ["config"], ["topics", "--help"], ["consume", "--help"]])
def test_what_needs_no_model_loads_no_torch(arguments: list[str]) -> None:
    script = (
        "import sys; from stream_infer.cli import run; code = run(sys.argv[1:]); "
        "sys.exit(code or ('torch' in sys.modules) or ('faust' in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], cwd=Path.cwd(), capture_output=True, check=False, timeout=180
    )
    assert done.returncode == 0, done.stderr.decode()
