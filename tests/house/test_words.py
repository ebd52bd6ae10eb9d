import re
from pathlib import Path

from tests.house.source import ROOT

MADE = {"build", "dist", "__pycache__"}
TEXT = {".py", ".md", ".toml", ".yaml", ".yml", ".avsc", ".json", ".jsonl", ".sh", ".cfg", ".txt", ""}
# Addresses that every reader can reach, or that are nobody's.
PUBLIC_HOSTS = re.compile(
    r"(localhost|127\.0\.0\.1|0\.0\.0\.0|(.+\.)?(example|example\.(com|org|net)|test|invalid)"
    r"|(.+\.)?(apache|python|pytorch|readthedocs|keepachangelog|semver|contributor-covenant)\.(org|io|com|net)"
    r"|(.+\.)?(github|confluent|nvidia|prometheus|docker)\.(com|io)|testcontainers\.com|json-schema\.org)"
)
ADDRESS = re.compile(r"\b(?:https?|s3|ftp|git|ssh)://([a-z0-9.-]+\.[a-z0-9.-]+)", re.IGNORECASE)
# Absolute paths that only one machine has.
ONE_MACHINE = re.compile(r"(?<![\w.$}/~-])/(?:root|home|Users|workspace|work)/[\w.]")


def texts() -> dict[str, str]:
    """Return the text of every file of the tree by its path; folders with a dot hold caches, except CI's."""
    inside = [path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file() and path.suffix in TEXT]
    ours = [path for path in inside if not any(step in MADE or step[0] == "." for step in path.parts[:-1])]
    return {str(path): (ROOT / path).read_text(encoding="utf-8") for path in [*ours, Path(".ci/run")]}


def test_files_name_no_address_that_only_their_author_can_reach() -> None:
    hosts = {(path, host.rstrip(".").lower()) for path, text in texts().items() for host in ADDRESS.findall(text)}
    assert {(path, host) for path, host in hosts if not PUBLIC_HOSTS.fullmatch(host)} == set()


def test_files_name_no_path_that_only_one_machine_has() -> None:
    assert {path: found for path, text in texts().items() if (found := ONE_MACHINE.findall(text))} == {}


def test_only_ci_looks_beside_the_checkout() -> None:
    beside = {path for path, text in texts().items() if re.search(r"\.\./" + "shared", text)}
    assert beside <= {".ci/run"}


def test_an_address_is_public_or_it_is_found() -> None:
    text = "see https:" + "//mirror.corp.internal/simple and https://kafka.apache.org/documentation"
    assert [host for host in ADDRESS.findall(text) if not PUBLIC_HOSTS.fullmatch(host)] == ["mirror.corp.internal"]
    assert ONE_MACHINE.search("lies in " + "/home" + "/me/wheels")
