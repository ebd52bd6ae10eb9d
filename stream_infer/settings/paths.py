"""Where files that settings name are found."""

from collections.abc import Mapping
from importlib import resources
from pathlib import Path


def absolute(path: Path, *, base: Path) -> Path:
    """Return `path` itself when it is absolute (`~` is the home folder), else below `base`."""
    return Path(base, path.expanduser()).absolute()


def find_schema(path: Path, *, base: Path) -> Path:
    """Return the schema file below `base`, else the package's file of the same name below `schemas/`.

    Raises ValueError where neither exists.
    """
    own = absolute(path, base=base)
    if own.is_file():
        return own
    shipped = shipped_schemas() / path.relative_to("schemas") if path.parts[:1] == ("schemas",) else None
    if shipped is not None and shipped.is_file():
        return shipped
    names = ", ".join(sorted(f"schemas/{file.name}" for file in shipped_schemas().glob("*.avsc")))
    raise ValueError(f"Input should be an Avro schema file: there is none at {own}; the package has {names or 'none'}")


def shipped_schemas() -> Path:
    """Return the folder of the schemas that come with the package."""
    package = Path(str(resources.files("stream_infer")))
    inside = package / "schemas"
    # A wheel carries the folder inside the package; in a checkout it lies beside it.
    return inside if inside.is_dir() else package.parent / "schemas"


def user_cache(environ: Mapping[str, str]) -> Path:
    """Return the folder for what may be computed or fetched again: `$XDG_CACHE_HOME` or `~/.cache`, `/stream-infer`."""
    return Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stream-infer"
