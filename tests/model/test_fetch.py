import hashlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stream_infer.errors import Retry, Stop
from stream_infer.model.fetch import Origin, fetch_version, pin_version, resolve
from stream_infer.model.repository import VersionDirectory
from stream_infer.model.sources.copy import FetchCancelled
from stream_infer.model.sources.prune import prune
from stream_infer.testing.models import MadeVersion, write_mlp
from tests.model.made import WIDTH, edit, load
from tests.model.site import Site, cut_off, endless, redirect, serving, status

ARTIFACT = "/fraud/1/model.safetensors"
MANIFEST = "/fraud/1/model.yaml"


@pytest.fixture
def version(tmp_path: Path) -> MadeVersion:
    return write_mlp(tmp_path / "models", name="fraud", sizes=(WIDTH, 8, 3), format="safetensors")


@pytest.fixture
def site(version: MadeVersion, tmp_path: Path) -> Iterator[Site]:
    with serving(tmp_path / "models") as site:
        yield site


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def fetch(site: Site, cache: Path, *, version: str = "1", sha256: str | None = None) -> VersionDirectory:
    return fetch_version("fraud", version, origin=Origin(site.url, sha256=sha256), cache=cache)


def whole(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def left_over(cache: Path) -> list[Path]:
    """Return every file of the cache that belongs to no whole version."""
    return [path for path in cache.rglob("*") if path.is_file() and ".by-place" not in path.parts]


def test_a_version_on_this_machine_is_used_where_it_lies(version: MadeVersion, tmp_path: Path, cache: Path) -> None:
    repository = tmp_path / "models"
    for origin in (
        Origin(str(repository)),
        Origin(repository.as_uri(), sha256=version.digest),
        Origin(str(tmp_path / "none"), str(version.path), version.digest, allowed_uri_prefixes=(str(repository),)),
    ):
        assert fetch_version("fraud", "1", origin=origin, cache=cache).path == version.path
    assert not cache.exists()


def test_a_version_elsewhere_is_copied_whole_and_loads(site: Site, version: MadeVersion, cache: Path) -> None:
    found = fetch(site, cache)
    assert found == VersionDirectory("fraud", "1", cache / "versions" / version.digest / "fraud" / "1")
    assert whole(found.path) == whole(version.path)
    assert load(MadeVersion(found, version.digest, version.module)).digest == version.digest
    assert sorted(path.name for path in (cache / "versions").iterdir()) == [".by-place", version.digest]


def test_only_what_the_manifest_lists_is_fetched(site: Site, version: MadeVersion, cache: Path) -> None:
    (version.path / "notes.txt").write_text("for people")
    fetch(site, cache)
    assert site.asked == [MANIFEST, ARTIFACT]


def test_a_copy_that_is_whole_is_used_again(site: Site, version: MadeVersion, cache: Path) -> None:
    first = fetch(site, cache)
    site.asked.clear()
    assert fetch(site, cache, sha256=version.digest) == first
    assert site.asked == []
    assert fetch(site, cache) == first
    assert site.asked == [MANIFEST]


def test_a_copy_that_was_damaged_is_fetched_again(site: Site, version: MadeVersion, cache: Path) -> None:
    found = fetch(site, cache, sha256=version.digest)
    (found.path / "model.safetensors").write_bytes(b"damaged")
    assert whole(fetch(site, cache, sha256=version.digest).path) == whole(version.path)
    (found.path / "model.safetensors").unlink()
    assert whole(fetch(site, cache, sha256=version.digest).path) == whole(version.path)
    shutil.rmtree(found.path)
    assert whole(fetch(site, cache, sha256=version.digest).path) == whole(version.path)


def test_a_digest_that_differs_is_answered_with_both(site: Site, version: MadeVersion, cache: Path) -> None:
    wanted = "0" * 64
    with pytest.raises(
        Stop, match=rf"^model.yaml in {site.url}/fraud/1 has sha256 {version.digest}, expected {wanted}"
    ):
        fetch(site, cache, sha256=wanted)
    with pytest.raises(Stop, match=rf"has sha256 {version.digest}, expected {wanted}"):
        fetch_version("fraud", "1", origin=Origin(str(version.path.parents[1]), sha256=wanted), cache=cache)


def test_the_bytes_of_the_listed_files_are_compared_with_what_was_asked_for(version: MadeVersion, cache: Path) -> None:
    repository = str(version.path.parents[1])
    size = (version.path / "model.safetensors").stat().st_size
    assert fetch_version("fraud", "1", origin=Origin(repository, size_bytes=size, max_bytes=size), cache=cache)
    with pytest.raises(Stop, match=rf"have {size} bytes in all, expected {size + 1}$"):
        fetch_version("fraud", "1", origin=Origin(repository, size_bytes=size + 1), cache=cache)
    with pytest.raises(Stop, match=rf"have {size} bytes in all, expected at most {size - 1}$"):
        fetch_version("fraud", "1", origin=Origin(repository, max_bytes=size - 1), cache=cache)


def test_a_worker_with_a_copy_refuses_what_one_without_refuses(site: Site, version: MadeVersion, cache: Path) -> None:
    for _ in range(2):
        with pytest.raises(Stop, match=r"bytes in all, expected 1$"):
            fetch_version("fraud", "1", origin=Origin(site.url, None, version.digest, 1), cache=cache)
        fetch(site, cache)


def test_a_digest_is_the_same_in_upper_case_and_nothing_else_is_one(
    site: Site, version: MadeVersion, cache: Path
) -> None:
    assert fetch(site, cache, sha256=version.digest.upper()).path.parts[-3] == version.digest
    for wrong in ("", "../../models", version.digest[:-1], version.digest + "\n"):
        with pytest.raises(Stop, match=r"^the sha256 is '.*', expected 64 hexadecimal digits$"):
            fetch(site, cache, sha256=wrong)


def test_a_file_that_differs_from_the_manifest_leaves_nothing_behind(
    site: Site, version: MadeVersion, cache: Path
) -> None:
    artifact = version.path / "model.safetensors"
    right = artifact.read_bytes()
    for wrong, sentence in ((right[:-1] + b"?", "has sha256"), (right[:-1], "bytes, expected"), (right + b"?", "more")):
        artifact.write_bytes(wrong)
        with pytest.raises(Stop, match=rf"model.safetensors has .*{sentence}|model.safetensors {sentence}"):
            fetch(site, cache)
        assert left_over(cache) == []


def test_no_more_is_read_than_the_manifest_says(site: Site, cache: Path) -> None:
    sent: list[int] = []
    site.answers[ARTIFACT] = endless(sent)
    with pytest.raises(Stop, match=r"model.safetensors has more than the \d+ bytes that model.yaml says$"):
        fetch(site, cache)
    site.answers[MANIFEST] = endless(sent)
    with pytest.raises(Stop, match=r"model.yaml has more than 1048576 bytes"):
        fetch(site, cache)
    assert left_over(cache) == []


@pytest.mark.parametrize("path", [MANIFEST, ARTIFACT])
@pytest.mark.parametrize("code", [500, 502, 503, 429])
def test_a_server_in_trouble_is_asked_again_later(site: Site, cache: Path, path: str, code: int) -> None:
    site.answers[path] = status(code)
    with pytest.raises(Retry, match=r"cannot be read for now"):
        fetch(site, cache)
    site.answers.clear()
    assert fetch(site, cache).path.is_dir()


def test_a_connection_that_breaks_off_is_made_again_later(site: Site, cache: Path) -> None:
    site.answers[ARTIFACT] = cut_off(b"half of it")
    with pytest.raises(Retry, match=r"model.safetensors cannot be read for now"):
        fetch(site, cache)
    assert left_over(cache) == []


def test_a_server_that_is_away_is_asked_again_later(cache: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(Retry, match=r"^http://127.0.0.1:\d+/fraud/1/model.yaml cannot be read for now"):
        fetch_version("fraud", "1", origin=Origin(url), cache=cache)


def test_what_was_found_before_is_used_while_its_source_is_away(site: Site, cache: Path) -> None:
    found = fetch(site, cache)
    site.answers[MANIFEST] = status(503)
    assert fetch(site, cache) == found
    with pytest.raises(Retry):
        fetch(site, cache, sha256="0" * 64)


def test_a_server_that_says_no_is_not_asked_again(site: Site, cache: Path) -> None:
    site.answers[ARTIFACT] = status(403)
    with pytest.raises(Stop, match=r"model.safetensors cannot be read: .*Forbidden"):
        fetch(site, cache)
    site.answers[ARTIFACT] = status(404)
    with pytest.raises(Stop, match=r"model.safetensors is not there$"):
        fetch(site, cache)
    with pytest.raises(Stop, match=r"^model fraud has no version 9, expected one of those in .*fraud: 1$"):
        fetch(site, cache, version="9")


def test_a_redirect_stays_on_its_server(site: Site, version: MadeVersion, tmp_path: Path, cache: Path) -> None:
    shutil.copy(version.path / "model.safetensors", tmp_path / "models" / "moved")
    site.answers[ARTIFACT] = redirect("/moved")
    assert fetch(site, cache).path.is_dir()
    shutil.rmtree(cache)
    with serving(tmp_path / "models") as other:
        site.answers[ARTIFACT] = redirect(f"{other.url}/moved")
        with pytest.raises(Stop, match=rf"redirects to {other.url}, expected it to stay on {site.url}"):
            fetch(site, cache)
        assert other.asked == []


def test_a_fetch_is_given_up_between_two_chunks(site: Site, cache: Path) -> None:
    told: list[tuple[int, int]] = []
    with pytest.raises(FetchCancelled):
        fetch_version(
            "fraud",
            "1",
            origin=Origin(site.url),
            cache=cache,
            cancelled=lambda: bool(told),
            progress=lambda done, size: told.append((done, size)),
        )
    assert len(told) == 1
    assert left_over(cache) == []


def test_progress_ends_at_the_bytes_in_all(site: Site, version: MadeVersion, cache: Path) -> None:
    told: list[tuple[int, int]] = []
    fetch_version("fraud", "1", origin=Origin(site.url), cache=cache, progress=lambda *both: told.append(both))
    size = (version.path / "model.safetensors").stat().st_size
    assert told == sorted(told)
    assert told[-1] == (size, size)


def test_what_a_dead_process_left_is_removed_and_what_a_living_one_writes_stays(site: Site, cache: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from stream_infer.model.sources.store import Store\n"
        "with Store(Path(sys.argv[1])).partial() as partial:\n"
        "    (partial.whole / 'half').write_bytes(b'half'); print(partial.whole, flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(cache)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        half = Path(process.stdout.readline().strip()) / "half"
        try:
            fetch(site, cache)
            assert half.exists()
        finally:
            process.kill()
    fetch(site, cache)
    assert not half.exists()


def test_two_processes_fetch_the_same_version_side_by_side(site: Site, version: MadeVersion, cache: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from stream_infer.model.fetch import Origin, fetch_version\n"
        "sys.stdin.readline(); origin, cache = Origin(sys.argv[1]), Path(sys.argv[2])\n"
        "for _ in range(5): print(fetch_version('fraud', '1', origin=origin, cache=cache).path)"
    )
    command = [sys.executable, "-c", code, site.url, str(cache)]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=60)[0].split() for process in processes]
    expected = cache / "versions" / version.digest / "fraud" / "1"
    assert answers == [[str(expected)] * 5] * 2
    assert whole(expected) == whole(version.path)


def test_a_place_outside_the_repository_needs_a_digest_and_leave(site: Site, version: MadeVersion, cache: Path) -> None:
    uri, prefix = f"{site.url}/fraud/1", f"{site.url}/fraud"
    with pytest.raises(Stop, match=r"may not be fetched from, expected it below one of .*: see allowed_uri_prefixes$"):
        fetch_version("fraud", "7", origin=Origin("/models", uri, version.digest), cache=cache)
    with pytest.raises(Stop, match=r"lies outside the repository /models, expected its sha256 beside the uri$"):
        fetch_version("fraud", "7", origin=Origin("/models", uri, allowed_uri_prefixes=(prefix,)), cache=cache)
    origin = Origin("/models", uri, version.digest, allowed_uri_prefixes=(prefix,))
    assert fetch_version("fraud", "7", origin=origin, cache=cache).version == "7"
    assert fetch_version("fraud", "8", origin=Origin(site.url, uri), cache=cache).version == "8"


def test_no_link_leads_out_of_what_is_allowed(version: MadeVersion, tmp_path: Path, cache: Path) -> None:
    allowed = tmp_path / "allowed"
    (allowed / "fraud").mkdir(parents=True)
    (allowed / "fraud" / "1").symlink_to(version.path)
    with pytest.raises(Stop, match=r"is a link to .*, expected a folder inside the repository"):
        fetch_version("fraud", "1", origin=Origin(str(allowed)), cache=cache)
    origin = Origin("/none", str(allowed / "fraud" / "1"), version.digest, allowed_uri_prefixes=(str(allowed),))
    with pytest.raises(Stop, match=r"a link to .* may not be fetched from"):
        fetch_version("fraud", "1", origin=origin, cache=cache)


@pytest.mark.parametrize("name", ["../../outside", "/tmp/outside", "a/../../b", "model.yaml"])
def test_no_listed_name_leads_out_of_the_copy(site: Site, version: MadeVersion, cache: Path, name: str) -> None:
    entry = {"sha256": hashlib.sha256(b"").hexdigest(), "size_bytes": 0}
    listed = (version.path / "model.safetensors").read_bytes()
    own = {"sha256": hashlib.sha256(listed).hexdigest(), "size_bytes": len(listed)}
    edit(version, {"files": {name: entry, "model.safetensors": own}})
    with pytest.raises(Stop, match=r"leaves the version's folder|lists itself"):
        fetch(site, cache)
    assert left_over(cache) == []


def test_a_cache_that_cannot_be_written_stops_with_a_sentence(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Stop, match=r"cannot be written \(Not a directory\), expected model.cache_directory"):
        fetch(site, tmp_path / "file" / "cache")


def test_a_disk_that_takes_no_more_leaves_nothing_behind(site: Site, cache: Path) -> None:
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from stream_infer.model.fetch import Origin, fetch_version\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "fetch_version('fraud', '1', origin=Origin(sys.argv[1]), cache=Path(sys.argv[2]))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, site.url, str(cache)], capture_output=True, text=True, timeout=60, check=False
    )
    assert "model.safetensors cannot be written (File too large)" in ended.stderr
    assert left_over(cache) == []


def test_a_version_is_pinned_by_its_manifest_alone(site: Site, version: MadeVersion) -> None:
    size = (version.path / "model.safetensors").stat().st_size
    for origin, uri in ((Origin(site.url), None), (Origin("/models", f"{site.url}/fraud/1/"), f"{site.url}/fraud/1")):
        allowed = Origin(origin.repository, origin.uri, allowed_uri_prefixes=(site.url,))
        pinned = pin_version("fraud", "1", origin=allowed)
        assert (pinned.version, pinned.uri, pinned.sha256, pinned.size_bytes) == ("1", uri, version.digest, size)
        assert pinned.manifest.artifact == "model.safetensors"
    assert set(site.asked) == {MANIFEST}


def test_a_uri_without_alias_is_brought_to_its_one_spelling() -> None:
    assert resolve("HTTP://Models.Example.com:80/fraud/%31/") == "http://models.example.com/fraud/1"
    assert resolve("models:/fraud/3") == "models:/fraud/3"
    with pytest.raises(Stop, match=r"names no registered version, expected models:/<name>/<number>"):
        resolve("models:/fraud/Production")


def test_the_longest_unused_versions_go_and_the_others_stay(cache: Path) -> None:
    day_s, now_s = 86400.0, 1_700_000_000.0
    ages = {"fraud": [0, 1, 2, 3, 4, 5, 6, 7, 8], "churn": [30, 40, 50, 60, 70]}
    for model, days in ages.items():
        for day in days:
            folder = cache / "versions" / f"{day:064x}" / model / str(day)
            folder.mkdir(parents=True)
            os.utime(folder, (now_s - day * day_s,) * 2)
    in_use = cache / "versions" / f"{8:064x}" / "fraud" / "8"
    gone = prune(cache, keep=[in_use], now_s=now_s)
    assert [path.name for path in gone] == ["7", "6", "5"]
    stayed = sorted(path.name for path in (cache / "versions").glob("[!.]*/*/*"))
    assert stayed == sorted(["0", "1", "2", "3", "4", "8", "30", "40", "50", "60", "70"])
    assert not any(path.exists() for path in gone)


def test_what_was_used_a_moment_ago_stays_however_many_there_are(cache: Path) -> None:
    now_s = 1_700_000_000.0
    for number in range(20):
        folder = cache / "versions" / f"{number:064x}" / "fraud" / str(number)
        folder.mkdir(parents=True)
        os.utime(folder, (now_s - number,) * 2)
    assert prune(cache, keep=[], now_s=now_s) == ()
