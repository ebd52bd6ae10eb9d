"""Desired states made up for tests: any that a record can name."""

from hypothesis import strategies as st

from stream_infer.rollout.record import Canary, Desired, TripLimits, VersionRef

LARGEST = 2**63 - 1

texts = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=20)
names = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters="/\\"), min_size=1)
digests = st.text("0123456789abcdef", min_size=64, max_size=64)
ratios = st.none() | st.floats(0, 1)

refs = st.builds(
    VersionRef,
    version=names.filter(lambda name: not name.startswith(".") and len(name.encode()) <= 255),
    uri=st.none() | texts,
    sha256=st.none() | digests,
    size_bytes=st.none() | st.integers(0, LARGEST),
)
limits = st.builds(
    TripLimits,
    max_error_ratio=ratios,
    max_nonfinite_ratio=ratios,
    window_s=st.floats(1, 86_400),
    min_records=st.integers(1, LARGEST),
)
canaries = st.builds(Canary, ref=refs, hundredths=st.integers(0, 10_000), seed=texts, limits=st.none() | limits)
desired_states = st.builds(
    Desired,
    model=texts,
    revision=st.integers(1, LARGEST),
    stable=refs,
    canary=st.none() | canaries,
    prepared=st.lists(refs, max_size=3).map(tuple),
    allow_output_change=st.booleans(),
    issued_at=st.none() | texts,
    issued_by=st.none() | texts,
    reason=st.none() | texts,
    application_id=st.none() | texts,
)
