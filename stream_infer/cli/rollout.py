"""`stream-infer rollout`: say which version should serve, and see what does."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer

from stream_infer.cli.operator import Operator
from stream_infer.cli.options import CommonOptions, with_common_options
from stream_infer.cli.rollout_file import apply_state, read_state, state_yaml
from stream_infer.cli.rollout_view import history_lines, print_history, print_status, status_json
from stream_infer.cli.rollout_word import Asked, Manner, Word, canary_word, end_tripped, say, speak, start
from stream_infer.clock import SystemClock
from stream_infer.errors import Stop, WrongUse
from stream_infer.rollout import operate
from stream_infer.rollout.record import TripLimits
from stream_infer.settings import Settings

app = typer.Typer(
    name="rollout", help="Roll versions, and see which serve.", no_args_is_help=True, add_completion=False
)

HUNDREDTHS: Final = 100
Version = Annotated[str, typer.Option(help="The version's name.")]
Uri = Annotated[str | None, typer.Option(help="Where it lies, if not in the repository.")]
Sha256 = Annotated[str | None, typer.Option(help="SHA-256 of its model.yaml; looked up when it is not given.")]
Model = Annotated[str | None, typer.Option(help="The model's name; default: model.name.")]
Reason = Annotated[str | None, typer.Option(help="Why, for whoever reads the history.")]
Wait = Annotated[bool, typer.Option("--wait", help="Until every live worker serves it; shows each on the way.")]
Timeout = Annotated[float | None, typer.Option(min=0.1, help="Seconds to wait; default: model.load_timeout_s.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the record and send nothing.")]
AllowOutputChange = Annotated[
    bool, typer.Option("--allow-output-change", help="Take a version whose answers mean something else.")
]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]


@app.command("start")
@with_common_options
def start_(  # noqa: PLR0913 - a parameter is an option
    common: CommonOptions,
    *,
    version: Version,
    uri: Uri = None,
    sha256: Sha256 = None,
    model: Model = None,
    reason: Reason = None,
    wait: Wait = False,
    timeout: Timeout = None,
    allow_output_change: AllowOutputChange = False,
    dry_run: DryRun = False,
) -> None:
    """Prepare a version on every live worker, then let it serve; withdraw it when one of them cannot load it."""
    settings = common.start()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a job that is cancelled withdraws it too
    manner = _manner(settings, model, reason=reason, wait=wait, timeout=timeout, dry_run=dry_run)
    with _operator(settings, manner.model) as operator:
        start(
            operator,
            settings,
            asked=Asked(version, uri, sha256),
            manner=manner,
            allow_output_change=allow_output_change,
        )


@app.command("canary")
@with_common_options
def canary(  # noqa: PLR0913 - a parameter is an option
    common: CommonOptions,
    *,
    version: Version,
    percent: Annotated[float, typer.Option(min=0, max=100, help="Its share, in steps of 0.01.")],
    uri: Uri = None,
    sha256: Sha256 = None,
    max_error_ratio: Annotated[float | None, typer.Option(min=0, max=1, help="More failing records stop it.")] = None,
    max_nonfinite_ratio: Annotated[float | None, typer.Option(min=0, max=1, help="More NaN or inf stop it.")] = None,
    window_s: Annotated[float, typer.Option("--window-s", min=1, help="Seconds over which both are counted.")] = 60,
    min_records: Annotated[int, typer.Option(min=1, help="Records from which on they count.")] = 500,
    model: Model = None,
    reason: Reason = None,
    wait: Wait = False,
    timeout: Timeout = None,
    allow_output_change: AllowOutputChange = False,
    dry_run: DryRun = False,
) -> None:
    """Let a version answer a share of the records, by a hash of their keys: the same ones on every worker."""
    settings = common.start()
    manner = _manner(settings, model, reason=reason, wait=wait, timeout=timeout, dry_run=dry_run)
    share = _hundredths(percent)
    limits = TripLimits(max_error_ratio, max_nonfinite_ratio, window_s, min_records)
    ref = Asked(version, uri, sha256).pin(settings, model=manner.model)
    _say(settings, canary_word(ref, share, limits=limits, allow_output_change=allow_output_change), manner=manner)


@app.command("promote")
@with_common_options
def promote(
    common: CommonOptions,
    *,
    model: Model = None,
    reason: Reason = None,
    wait: Wait = False,
    timeout: Timeout = None,
    dry_run: DryRun = False,
) -> None:
    """Let the canary answer everything."""
    settings = common.start()
    manner = _manner(settings, model, reason=reason, wait=wait, timeout=timeout, dry_run=dry_run)
    _say(settings, lambda folded, issued: operate.promote(folded, issued=issued), manner=manner)


@app.command("rollback")
@with_common_options
def rollback(
    common: CommonOptions,
    *,
    model: Model = None,
    reason: Reason = None,
    wait: Wait = False,
    timeout: Timeout = None,
    dry_run: DryRun = False,
) -> None:
    """Let the stable version before this one serve again; it is still in memory for model.keep_previous_s."""
    settings = common.start()
    manner = _manner(settings, model, reason=reason, wait=wait, timeout=timeout, dry_run=dry_run)
    _say(settings, lambda folded, issued: operate.rollback(folded, issued=issued), manner=manner)


@app.command("abort")
@with_common_options
def abort(
    common: CommonOptions,
    *,
    model: Model = None,
    reason: Reason = None,
    wait: Wait = False,
    timeout: Timeout = None,
    dry_run: DryRun = False,
) -> None:
    """End the canary, and what is prepared; stable goes on."""
    settings = common.start()
    manner = _manner(settings, model, reason=reason, wait=wait, timeout=timeout, dry_run=dry_run)
    _say(settings, lambda folded, issued: operate.abort(folded, issued=issued), manner=manner)


@app.command("status")
@with_common_options
def status(common: CommonOptions, *, model: Model = None, as_json: AsJson = False) -> None:
    """Show what should serve, and what does on each worker."""
    settings = common.start()
    with _operator(settings, model or settings.model.name) as operator:
        view = operator.look()
        if as_json:
            print(json.dumps(status_json(view), indent=2))
        else:
            print_status(view)


@app.command("history")
@with_common_options
def history(common: CommonOptions, *, model: Model = None, as_json: AsJson = False) -> None:
    """Show every record of the control topic that is about the model, and what became of it."""
    settings = common.start()
    with _operator(settings, model or settings.model.name) as operator:
        lines = history_lines(operator.told)
    if as_json:
        print(json.dumps(lines, indent=2))
    else:
        print_history(lines)


@app.command("watch")
@with_common_options
def watch(
    common: CommonOptions,
    *,
    model: Model = None,
    once: Annotated[bool, typer.Option("--once", help="Look once, and end.")] = False,
) -> None:
    """Follow the workers; when a canary is stopped on one of them, end it everywhere by a new revision."""
    settings = common.start()
    with _operator(settings, model or settings.model.name) as operator:
        while True:
            news = operator.news()
            for one in news:
                states = ", ".join(f"{each.version} {each.state}" for each in one.versions)
                say(f"{one.worker}: revision {one.applied_revision}, {states}")
            end_tripped(operator)
            if once:
                return


@app.command("apply")
@with_common_options
def apply(
    common: CommonOptions,
    *,
    file: Annotated[
        Path,
        typer.Option("--file", "-f", metavar="FILE", help="The desired state, YAML or JSON; - for standard input."),
    ],
    model: Model = None,
    reason: Reason = None,
    wait: Wait = False,
    timeout: Timeout = None,
    dry_run: DryRun = False,
) -> None:
    """Make the desired state what a file says; nothing is written when it is that already."""
    settings = common.start()
    manner = _manner(settings, model, reason=reason, wait=wait, timeout=timeout, dry_run=dry_run)
    state = read_state(file)
    state.parse(next_revision=1)  # what is wrong with it is said before any broker is asked
    with _operator(settings, manner.model) as operator:
        apply_state(operator, settings, state, manner=manner)


@app.command("export")
@with_common_options
def export(common: CommonOptions, *, model: Model = None) -> None:
    """Print the desired state as YAML, for `rollout apply` here or elsewhere."""
    settings = common.start()
    with _operator(settings, model or settings.model.name) as operator:
        current = operator.known.current
        if current is None:
            raise Stop(f"The control topic names no version of {operator.folded.model} yet, expected one to export.")
        print(state_yaml(current), end="")


@contextmanager
def _operator(settings: Settings, model: str) -> Iterator[Operator]:
    with Operator(settings, model=model, clock=SystemClock(), say=say) as operator:
        yield operator


def _say(settings: Settings, word: Word, *, manner: Manner) -> None:
    with _operator(settings, manner.model) as operator:
        speak(operator, word, manner=manner)


def _manner(
    settings: Settings, model: str | None, *, reason: str | None, wait: bool, timeout: float | None, dry_run: bool
) -> Manner:
    timeout_s = settings.model.load_timeout_s if timeout is None else timeout
    return Manner(model or settings.model.name, reason, wait, timeout_s, dry_run)


def _hundredths(percent: float) -> int:
    hundredths = round(percent * HUNDREDTHS)
    if abs(hundredths - percent * HUNDREDTHS) > 1e-6:  # noqa: PLR2004 - what binary fractions leave
        raise WrongUse(f"--percent is {percent}, expected steps of 0.01.")
    return hundredths
