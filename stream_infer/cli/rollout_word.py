"""What the words of `stream-infer rollout` do: a version pinned, a state written, its arrival waited for."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from stream_infer.cli.operator import Operator, Outdone, arrived, winner
from stream_infer.errors import Stop
from stream_infer.model import VersionDirectory
from stream_infer.model.fetch import Origin, fetch_version, pin_version
from stream_infer.model.trial import TrialSettings, try_version
from stream_infer.rollout import operate
from stream_infer.rollout.campaign import Phase, View, arrive, prepare
from stream_infer.rollout.fold import Folded
from stream_infer.rollout.operate import Issued
from stream_infer.rollout.record import Desired, TripLimits, VersionRef, to_json
from stream_infer.settings import Settings

NOBODY: Final = "no live worker: those that start later take it from the control topic"
Word = Callable[[Folded, Issued], Desired]


@dataclass(frozen=True, slots=True)
class Manner:
    """How a word is said: for which model, why, and whether to wait for it, or only to print it."""

    model: str
    reason: str | None
    wait: bool
    timeout_s: float
    dry_run: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """A version as a person names it."""

    version: str
    uri: str | None
    sha256: str | None

    def origin(self, settings: Settings, *, pinned: VersionRef | None = None) -> Origin:
        """Return where it is looked for; `pinned` says what it must be."""
        named = pinned or VersionRef(self.version, self.uri, self.sha256)
        return Origin(
            repository=settings.model.repository,
            uri=named.uri,
            sha256=named.sha256,
            size_bytes=named.size_bytes,
            allowed_uri_prefixes=settings.model.allowed_uri_prefixes,
        )

    def pin(self, settings: Settings, *, model: str) -> VersionRef:
        """Return what a record says of it, so that every worker gets the same bytes; its manifest is read."""
        pinned = pin_version(model, self.version, origin=self.origin(settings))
        return VersionRef(pinned.version, pinned.uri, pinned.sha256, pinned.size_bytes)


def say(line: str) -> None:
    """Tell of progress, beside what machines read."""
    print(line, file=sys.stderr, flush=True)


def speak(operator: Operator, word: Word, *, manner: Manner) -> None:
    """Write what a word makes of the newest state; wait until it serves everywhere if asked to."""
    before = operator.look()
    desired = word(operator.known, operator.issued(manner.reason))
    if manner.dry_run:
        print(to_json(desired).decode())
        return
    offset = operator.write(desired)
    if manner.wait and not _is_alone(before):
        _see_arrive(operator, desired, offset=offset, before=before, manner=manner)
    elif manner.wait:
        say(NOBODY)


def start(
    operator: Operator, settings: Settings, *, asked: Asked, manner: Manner, allow_output_change: bool = False
) -> None:
    """Prepare a version on every live worker, then make it stable; withdraw it when one of them cannot."""
    ref = asked.pin(settings, model=manner.model)
    before = operator.look()
    begun = operator.known.revision
    if not manner.dry_run:
        if _is_alone(before):
            say(NOBODY)
            verify_here(settings, asked, ref=ref, model=manner.model)
        elif operator.known.current is not None:
            begun = _prepare(operator, ref, before=before, manner=manner, allow_output_change=allow_output_change)

    def switch(folded: Folded, issued: Issued) -> Desired:
        if folded.revision != begun:
            raise Outdone(f"Version {ref.version} is not switched to: {winner(folded.history[-1])} counts by now.")
        return operate.switch(folded, ref, issued=issued, allow_output_change=allow_output_change)

    speak(operator, switch, manner=manner)


def end_tripped(operator: Operator) -> None:
    """End the canary that runs when a worker says that it stopped it."""
    view = operator.look()
    current = view.folded.current
    if current is None or current.canary is None:
        return
    stopped = [one for one in view.statuses.values() if one.tripped and one.applied_revision == current.revision]
    if not stopped:
        return
    reason = f"stopped on {stopped[0].worker}: {stopped[0].tripped}"
    try:
        operator.write(operate.abort(view.folded, issued=operator.issued(reason)))
    except Outdone as other:
        say(str(other))
    else:
        say(f"canary {current.canary.ref.version} is ended, {reason}")


def canary_word(ref: VersionRef, hundredths: int, *, limits: TripLimits, allow_output_change: bool) -> Word:
    """Return the word that gives a version a share; limits that limit nothing are none."""
    has_limits = limits.max_error_ratio is not None or limits.max_nonfinite_ratio is not None

    def word(folded: Folded, issued: Issued) -> Desired:
        return operate.canary(
            folded,
            ref,
            hundredths=hundredths,
            limits=limits if has_limits else None,
            issued=issued,
            allow_output_change=allow_output_change,
        )

    return word


def verify_here(settings: Settings, asked: Asked, *, ref: VersionRef, model: str) -> None:
    """Do here what a worker does before it loads a version; raises `Stop` with what is wrong."""
    origin = asked.origin(settings, pinned=ref)
    found: VersionDirectory = fetch_version(model, ref.version, origin=origin, cache=settings.model.cache_directory)
    trial = TrialSettings(
        device=settings.model.device,
        batch_size=settings.batching.max_batch_size,
        allow_code_formats=settings.model.allow_code_formats,
        memory_limit_bytes=settings.model.load_memory_limit_bytes,
        timeout_s=settings.model.load_timeout_s,
        cache=settings.model.cache_directory,
    )
    try_version(found, ref.sha256 or "", trial=trial, cancelled=lambda: False)
    say(f"version {ref.version} is loaded and tried: it is all right")


def _prepare(operator: Operator, ref: VersionRef, *, before: View, manner: Manner, allow_output_change: bool) -> int:
    """Wait until every live worker holds the version warm and return the revision that says so; else withdraw it.

    Raises `Stop` with the reason when it was withdrawn, or when another revision counts by now.
    """
    written = operate.start_prepare(
        operator.known, ref, issued=operator.issued(manner.reason), allow_output_change=allow_output_change
    )
    offset = operator.write(written)
    campaign = prepare(ref, written=written, offset=offset, before=before, timeout_s=manner.timeout_s)
    try:
        campaign = operator.wait(campaign)
    except KeyboardInterrupt:
        _withdraw(operator, ref, "the operator gave it up")
        raise
    if campaign.phase is Phase.LOST:
        raise Stop(f"{campaign.reason}.")
    if campaign.phase is Phase.WITHDRAW:
        _withdraw(operator, ref, campaign.reason)
        raise Stop(f"Version {ref.version} is withdrawn: {campaign.reason}.")
    return written.revision


def _withdraw(operator: Operator, ref: VersionRef, reason: str | None) -> None:
    operator.write(operate.withdraw(operator.known, ref, issued=operator.issued(reason)))
    say(f"version {ref.version} is withdrawn; what served goes on")


def _see_arrive(operator: Operator, desired: Desired, *, offset: int, before: View, manner: Manner) -> None:
    campaign = arrive(desired, offset=offset, before=before, timeout_s=manner.timeout_s)
    say(arrived(operator.wait(campaign)))


def _is_alone(view: View) -> bool:
    return not view.live
