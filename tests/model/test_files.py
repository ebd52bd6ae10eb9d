import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream_infer.errors import Stop
from stream_infer.model.files import inside, read_verified
from stream_infer.model.manifest import FileEntry
from stream_infer.testing.models import MadeVersion
from tests.model.made import edit, load


def entry(content: bytes) -> FileEntry:
    return FileEntry(sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))


def test_bytes_as_listed_are_returned(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a.bin").write_bytes(b"abc")
    assert read_verified(tmp_path, "code/a.bin", entry=entry(b"abc")) == b"abc"


@given(content=st.binary(min_size=1, max_size=64), data=st.data())
@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_changed_byte_is_refused(tmp_path: Path, content: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(content) - 1))
    flipped = bytearray(content)
    flipped[place] ^= data.draw(st.integers(1, 255))
    (tmp_path / "a.bin").write_bytes(flipped)
    with pytest.raises(Stop, match=r"^a.bin in .* has sha256 .*, expected .*: it was changed or damaged$"):
        read_verified(tmp_path, "a.bin", entry=entry(content))


def test_another_size_is_refused_before_the_file_is_read(tmp_path: Path) -> None:
    with (tmp_path / "a.bin").open("wb") as file:
        file.truncate(1 << 42)  # a hole larger than any memory
    with pytest.raises(Stop, match=rf"has {1 << 42} bytes, expected 3$"):
        read_verified(tmp_path, "a.bin", entry=entry(b"abc"))


@pytest.mark.parametrize("name", ["../a", "/etc/hostname", "x/../../a", "", "..", "a\\b", "a\0b", "x/.."])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(Stop, match=r"leaves the version's folder, expected a path inside it$"):
        inside(tmp_path, name)


def test_no_link_leads_out_of_the_folder(tmp_path: Path) -> None:
    version = tmp_path / "version"
    version.mkdir()
    (tmp_path / "secret").write_bytes(b"abc")
    (version / "file").symlink_to(tmp_path / "secret")
    (version / "up").symlink_to(tmp_path)
    for name in ("file", "up/secret"):
        with pytest.raises(Stop, match=r"is a link to .*secret, expected a file inside the version's folder$"):
            read_verified(version, name, entry=entry(b"abc"))


def test_a_link_that_stays_inside_is_followed_as_kubernetes_mounts_files(tmp_path: Path) -> None:
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data" / "a.bin").write_bytes(b"abc")
    (tmp_path / "a.bin").symlink_to(Path("..data") / "a.bin")
    assert read_verified(tmp_path, "a.bin", entry=entry(b"abc")) == b"abc"


def test_a_pipe_or_a_folder_in_place_of_the_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder", "none"):
        with pytest.raises(Stop, match=rf"^{name} in .* (is no regular file, expected one|cannot be read: .*)$"):
            read_verified(tmp_path, name, entry=entry(b""))


def test_a_version_with_one_tampered_byte_in_any_file_does_not_load(weights: MadeVersion) -> None:
    artifact = weights.path / "model.safetensors"
    content = bytearray(artifact.read_bytes())
    content[-1] ^= 1
    artifact.write_bytes(content)
    with pytest.raises(Stop, match=r"^model.safetensors in .* has sha256"):
        load(weights)


def test_a_listed_file_that_nothing_loads_is_checked_too(weights: MadeVersion) -> None:
    entries = {"model.safetensors": entry((weights.path / "model.safetensors").read_bytes()), "notes": entry(b"right")}
    edit(weights, {"files": {name: one.model_dump() for name, one in entries.items()}})
    (weights.path / "notes").write_bytes(b"wrong")
    with pytest.raises(Stop, match=r"^notes in .* has sha256"):
        load(weights)
