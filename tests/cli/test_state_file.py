"""A desired state is read once, from a file or from standard input, and refused with its name."""

import io
from pathlib import Path

import pytest

from stream_infer.cli.rollout_file import read_state
from stream_infer.errors import WrongUse

STATE = '{"model": "fraud", "stable": {"version": "2"}}'


def test_standard_input_holds_what_a_file_may_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "state.yaml"
    file.write_text(STATE, encoding="utf-8")
    monkeypatch.setattr("sys.stdin", io.StringIO(STATE))
    (here, there) = (read_state(one).parse(next_revision=7) for one in (file, Path("-")))
    assert here == there
    assert (here.revision, here.stable.version) == (7, "2")


def test_what_is_no_state_is_refused_with_where_it_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("{}"))
    with pytest.raises(WrongUse, match=r"^standard input: "):
        read_state(Path("-")).parse(next_revision=1)
    monkeypatch.setattr("sys.stdin", io.StringIO("{"))
    with pytest.raises(WrongUse, match="--file is -, expected YAML that can be read"):
        read_state(Path("-"))
