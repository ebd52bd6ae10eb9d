"""The command line: `stream-infer`. Each command's module is imported when the command runs, so that help is fast."""

import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer

from stream_infer import __version__
from stream_infer.cli.commands import CommandTable
from stream_infer.cli.invocation import Invocation
from stream_infer.errors import StreamInferError

PROGRAM: Final = "stream-infer"
INTERRUPTED: Final = 130  # what Typer makes of Ctrl-C

app = typer.Typer(cls=CommandTable, name=PROGRAM, add_completion=False, pretty_exceptions_enable=False)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and end the process: 0 done, 1 failed, 2 wrong use or settings."""
    raise SystemExit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; an error is one sentence on standard error, a traceback on demand."""
    invocation = Invocation()
    try:
        code = typer.main.get_command(app)(
            args=list(arguments), prog_name=PROGRAM, standalone_mode=False, obj=invocation
        )
    except StreamInferError as error:
        return _report(str(error), code=error.exit_code, invocation=invocation)
    except typer.Abort:
        return _report("Interrupted.", code=1, invocation=invocation)
    except Exception as error:  # noqa: BLE001 - a defect too is told in a sentence first
        return _report_other(error, invocation=invocation)
    if code == INTERRUPTED:
        return _report("Interrupted.", code=1, invocation=invocation)
    return code if isinstance(code, int) else 0


def _version(given: bool) -> None:
    if given:
        print(f"{PROGRAM} {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", callback=_version)] = False,
) -> None:
    """Put a PyTorch model on a Kafka stream."""


def _report_other(error: Any, *, invocation: Invocation) -> int:
    """Report an error that is not one of ours: Typer's about the command line, or a defect."""
    if hasattr(error, "format_message"):
        sentence = f"{error.format_message().rstrip('.?')}. See: {_help_of(error)}"
        return _report(sentence, code=error.exit_code, invocation=invocation)
    sentence = f"{type(error).__name__}: {error}"
    more = "" if invocation.debug else " (--debug shows where)"
    return _report(f"Unexpected {sentence}{more}", code=1, invocation=invocation)


def _help_of(error: Any) -> str:
    context = getattr(error, "ctx", None)
    return f"{context.command_path if context else PROGRAM} --help"


def _report(sentence: str, *, code: int, invocation: Invocation) -> int:
    if invocation.debug and sys.exc_info()[0] is not None:
        traceback.print_exc()
    print(sentence, file=sys.stderr)
    return code
