"""What the words of `stream-infer rollout` do: a version pinned, a state written, its arrival waited for."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Final

from stream_infer.avro import load_schema
from stream_infer.cli.operator import Operator, Outdone, arrived, winner
from stream_infer.errors import Stop
from stream_infer.model import VersionDirectory
from stream_infer.model.fetch import Origin, fetch_version, pin_version
from stream_infer.model.manifest import MANIFEST_NAME, parse_manifest, read_manifest_bytes
from stream_infer.rollout import operate
from stream_infer.rollout.campaign import Phase, View, arrive, prepare
from stream_infer.rollout.fold import Folded
from stream_infer.rollout.lineage import answered_before, may_differ
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
    see(operator, write(operator, word, manner=manner), before=before, manner=manner)


def write(operator: Operator, word: Word, *, manner: Manner) -> int | None:
    """Write what a word makes of the newest state and return its offset; with `dry_run` print it, and return None."""
    desired = word(operator.known, operator.issued(manner.reason))
    if manner.dry_run:
        print(to_json(desired).decode())
        return None
    return operator.write(desired)


def see(operator: Operator, offset: int | None, *, before: View, manner: Manner) -> None:
    """Wait, if asked to, until what was written at `offset` serves on every live worker."""
    if offset is None or not manner.wait:
        return
    if _is_alone(before):
        say(NOBODY)
        return
    written = next(one.desired for one in operator.folded.history if one.offset == offset)
    campaign = arrive(written, offset=offset, before=before, timeout_s=manner.timeout_s)
    say(arrived(operator.wait(campaign)))


def start(
    operator: Operator, settings: Settings, *, asked: Asked, manner: Manner, allow_output_change: bool = False
) -> None:
    """Prepare a version on every live worker, then make it stable; withdraw it when one of them cannot."""
    ref = asked.pin(settings, model=manner.model)
    before = operator.look()
    begun = operator.known.revision
    is_campaign = not manner.dry_run and not _is_alone(before) and operator.known.current is not None
    if _is_alone(before) and not manner.dry_run:
        say(NOBODY)
        known = None if allow_output_change else operator.known
        verify_here(settings, asked, ref=ref, model=manner.model, known=known)

    def switch(folded: Folded, issued: Issued) -> Desired:
        if folded.revision != begun:
            raise Outdone(f"Version {ref.version} is not switched to: {winner(folded.history[-1])} counts by now.")
        return operate.switch(folded, ref, issued=issued, allow_output_change=allow_output_change)

    with _withdrawing(operator, ref) if is_campaign else nullcontext():
        if is_campaign:
            begun = _prepare(operator, ref, before=before, manner=manner, allow_output_change=allow_output_change)
        offset = write(operator, switch, manner=manner)
    see(operator, offset, before=before, manner=manner)


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


def verify_here(settings: Settings, asked: Asked, *, ref: VersionRef, model: str, known: Folded | None) -> None:
    """Do here what a worker does before it loads a version; raises `Stop` with what is wrong.

    `known` is the log, for what the version's answers must mean; None when they may differ.
    """
    origin = asked.origin(settings, pinned=ref)
    found: VersionDirectory = fetch_version(model, ref.version, origin=origin, cache=settings.model.cache_directory)
    manifest = parse_manifest(read_manifest_bytes(found.path), source=str(found.path / MANIFEST_NAME))
    from stream_infer.verifying import Verifier  # noqa: PLC0415 - torch takes seconds, which only this word needs

    verifier = Verifier(settings, load_schema(settings.schemas.input))
    is_bound = known is not None and not may_differ(known.history, ref)
    before = answered_before(known.history, _next(known, ref), ref).refs if known is not None and is_bound else ()
    verifier.verify(
        found, manifest, digest=ref.sha256 or "", against=verifier.accepted(before), cancelled=lambda: False
    )
    say(f"version {ref.version} is loaded and tried: it is all right")


def _next(known: Folded, ref: VersionRef) -> Desired:
    return operate.switch(known, ref, issued=Issued())


def _prepare(operator: Operator, ref: VersionRef, *, before: View, manner: Manner, allow_output_change: bool) -> int:
    """Wait until every live worker holds the version warm and return the revision that says so; else withdraw it.

    Raises `Stop` with the reason when it was withdrawn, or when another revision counts by now.
    """
    written = operate.start_prepare(
        operator.known, ref, issued=operator.issued(manner.reason), allow_output_change=allow_output_change
    )
    offset = operator.write(written)
    campaign = prepare(ref, written=written, offset=offset, before=before, timeout_s=manner.timeout_s)
    campaign = operator.wait(campaign)
    if campaign.phase is Phase.LOST:
        raise Stop(f"{campaign.reason}.")
    if campaign.phase is Phase.WITHDRAW:
        _withdraw(operator, ref, campaign.reason)
        raise Stop(f"Version {ref.version} is withdrawn: {campaign.reason}.")
    return written.revision


@contextmanager
def _withdrawing(operator: Operator, ref: VersionRef) -> Iterator[None]:
    """Withdraw what is prepared when the operator gives it up, at whatever moment."""
    try:
        yield
    except KeyboardInterrupt:
        operator.catch_up()
        current = operator.known.current
        if current is not None and any(operate.is_same_version(one, ref) for one in current.prepared):
            _withdraw(operator, ref, "the operator gave it up")
        raise


def _withdraw(operator: Operator, ref: VersionRef, reason: str | None) -> None:
    operator.write(operate.withdraw(operator.known, ref, issued=operator.issued(reason)))
    say(f"version {ref.version} is withdrawn; what served goes on")


def _is_alone(view: View) -> bool:
    return not view.live
