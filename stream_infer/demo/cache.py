"""The demo's model repository in the user's cache: made once, and again when it is stale or damaged."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Final

from stream_infer import __version__
from stream_infer.errors import Stop

MODEL_NAME: Final = "digits"
MODEL_VERSION: Final = "1"
BETTER_VERSION: Final = "2"
BROKEN_VERSION: Final = "3"
STAMP_NAME: Final = "made-by.json"
# A change to any of these makes another network.
_SOURCES: Final = ("digits.py", "train.py")

Train = Callable[[Path], float]
"""Writes the versions into the repository that it is given and returns the first one's accuracy, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Ingredients:
    """What a network is made with: versions of packages, and a digest of the code that trains it."""

    stream_infer: str
    torch: str
    scikit_learn: str
    code: str


@dataclass(frozen=True, slots=True)
class Stamp:
    """What lies beside the versions: what they were made with, each file's SHA-256, and the first's accuracy."""

    ingredients: Ingredients
    files: Mapping[str, str]
    accuracy: float

    def to_json(self) -> str:
        """Return the stamp as it is written."""
        return json.dumps(asdict(self), indent=2)


@dataclass(frozen=True, slots=True)
class CachedModel:
    """A repository that holds the versions, and how many held-out rows the first network gets right, 0 to 1."""

    repository: Path
    accuracy: float


def current_ingredients() -> Ingredients:
    """Return what a network would be made with now."""
    code = b"".join(Path(__file__).with_name(name).read_bytes() for name in _SOURCES)
    return Ingredients(
        stream_infer=__version__,
        torch=installed_version("torch"),
        scikit_learn=installed_version("scikit-learn"),
        code=hashlib.sha256(code).hexdigest(),
    )


def find_cached(folder: Path, ingredients: Ingredients) -> CachedModel | None:
    """Return the model in `folder/models`; None when there is none, or it is stale, or any of its files was changed."""
    repository = folder / "models"
    stamp = _read_stamp(repository / STAMP_NAME)
    if stamp is None or stamp.ingredients != ingredients or stamp.files != _digests(repository):
        return None
    return CachedModel(repository, stamp.accuracy)


def make_cached(folder: Path, ingredients: Ingredients, *, train: Train) -> CachedModel:
    """Train into a folder of its own and put it where `find_cached` looks; what was there goes.

    It appears by one rename, so two demos that start at once do not see each other's half. Raises Stop when the
    cache cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=folder) as made_in:
            new = Path(made_in) / "models"
            accuracy = train(new)
            stamp = Stamp(ingredients, _digests(new), accuracy)
            (new / STAMP_NAME).write_text(stamp.to_json(), encoding="utf-8")
            _put(new, folder / "models", aside=Path(made_in) / "old")
    except OSError as error:
        raise Stop(
            f"The demo's cache {folder} cannot be written: {error.strerror}, expected a folder that can be "
            "(model.cache_directory)."
        ) from error
    return CachedModel(folder / "models", accuracy)


def _put(new: Path, place: Path, *, aside: Path) -> None:
    if place.exists():
        place.rename(aside)
    try:
        new.rename(place)
    except OSError:
        # Another demo was faster. What it made is as good, if it is a repository at all.
        if _read_stamp(place / STAMP_NAME) is None:
            raise
    shutil.rmtree(aside, ignore_errors=True)


def _read_stamp(path: Path) -> Stamp | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return Stamp(Ingredients(**found["ingredients"]), dict(found["files"]), float(found["accuracy"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _digests(repository: Path) -> dict[str, str]:
    files = sorted(path for path in (repository / MODEL_NAME).rglob("*") if path.is_file())
    return {str(path.relative_to(repository)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
