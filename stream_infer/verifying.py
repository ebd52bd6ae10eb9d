"""What a version must pass before a process loads it: contracts with the events and with what answers, and a trial."""

import logging
from collections.abc import Callable, Iterable

from stream_infer.avro import AvroSchema
from stream_infer.errors import Retry, Stop
from stream_infer.logs import Repeated
from stream_infer.model import Facts, LoadedVersion, Manifest, VersionDirectory
from stream_infer.model.fetch import Origin, pin_version
from stream_infer.model.trial import TrialSettings, known_facts, try_version
from stream_infer.rollout.contract import Meaning, check_inputs, check_outputs
from stream_infer.rollout.record import VersionRef
from stream_infer.settings import Settings

repeated = Repeated(logging.getLogger(__name__))


class Verifier:
    """Checks versions of the settings' model; `reader` is the schema that events are read with."""

    def __init__(self, settings: Settings, reader: AvroSchema) -> None:
        model = settings.model
        self._settings = settings
        self._reader = reader
        self._trial = TrialSettings(
            device=model.device,
            batch_size=settings.batching.max_batch_size,
            allow_code_formats=model.allow_code_formats,
            memory_limit_bytes=model.load_memory_limit_bytes,
            timeout_s=model.load_timeout_s,
            cache=model.cache_directory,
        )

    def verify(
        self,
        found: VersionDirectory,
        manifest: Manifest,
        *,
        digest: str,
        against: Meaning | None,
        cancelled: Callable[[], bool],
    ) -> Facts:
        """Compare contracts and try the version in a child process; raises `Stop` with what does not fit.

        `against` is what its answers must mean, None where that is open.
        """
        misfits = check_inputs(manifest, self._reader)
        if misfits:
            raise Stop(f"version {found.version} does not fit schemas.input: {'; '.join(misfits)}")
        facts = try_version(found, digest, trial=self._trial, cancelled=cancelled)
        new = Meaning(found.version, manifest.outputs, facts.width)
        differences = check_outputs(new, against) if against is not None else []
        if against is not None and differences:
            raise Stop(
                f"version {found.version} answers otherwise than {against.version}, which answers so far: "
                f"{'; '.join(differences)}"
            )
        return facts

    def accepted(self, refs: Iterable[VersionRef]) -> Meaning | None:
        """Return what the first of these versions means, as far as it or one that means the same tells.

        None when nothing of them can be read any more: a source may be gone long after its version was.
        """
        accepted: Meaning | None = None
        for ref in refs:
            if accepted is not None and accepted.width is not None:
                break
            found = self._read(ref)
            if found is not None and (accepted is None or not check_outputs(found, accepted)):
                accepted = found
        return accepted

    def _read(self, ref: VersionRef) -> Meaning | None:
        """Return what a version's manifest says, and how wide its answers were when it was tried here."""
        model = self._settings.model
        origin = Origin(
            repository=model.repository,
            uri=ref.uri,
            sha256=ref.sha256,
            size_bytes=ref.size_bytes,
            allowed_uri_prefixes=model.allowed_uri_prefixes,
        )
        try:
            pinned = pin_version(model.name, ref.version, origin=origin)
        except (Stop, Retry) as reason:
            text, fields = "version %s, which answered before, is compared with nothing: %s", {"version": ref.version}
            repeated.warning(text, ref.version, reason, each=ref, extra=fields)
            return None
        known = known_facts(self._trial).find(pinned.sha256)
        return Meaning(ref.version, pinned.manifest.outputs, known.width if known else None)


def meaning_of(version: LoadedVersion) -> Meaning:
    """Return what the answers of a loaded version mean."""
    return Meaning(version.version, version.manifest.outputs, version.width)
