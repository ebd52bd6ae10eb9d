"""Copies everything below an fsspec URL into a folder: URL FOLDER."""

import re
import sys
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

import fsspec

from stream_infer.settings.secrets import HIDDEN, without_password


def copy(url: str, folder: Path) -> int:
    """Return how many files were copied; raises ValueError for one that would leave the folder."""
    source, root = fsspec.url_to_fs(url)
    root = root.rstrip("/")
    count = 0
    for path in sorted(source.find(root)):
        inside = PurePosixPath(path.removeprefix(root).lstrip("/"))
        if inside.is_absolute() or ".." in inside.parts or not inside.parts:
            raise ValueError(f"it holds {path}, expected files below {root} alone")
        target = folder / inside
        target.parent.mkdir(parents=True, exist_ok=True)
        source.get_file(path, str(target))
        count += 1
    return count


def said(error: Exception, url: str) -> str:
    """Return what an error says, without the password or token of the URL, which some drivers repeat."""
    text = without_password(str(error)) or type(error).__name__
    for found in re.findall(r"://([^/\s]+)@", url):
        secret = found.partition(":")[2] or found
        text = text.replace(secret, HIDDEN).replace(unquote(secret), HIDDEN)
    return text


def main(url: str, folder: str) -> None:
    """Copy, or end with one sentence on standard error and exit code 1."""
    shown = without_password(url)
    try:
        count = copy(url, Path(folder))
    except Exception as error:  # noqa: BLE001 - each fsspec driver has errors of its own
        sys.exit(f"modelVolume.download.url is {shown}, which cannot be copied: {said(error, url)}")
    if not count:
        sys.exit(f"modelVolume.download.url is {shown}, where there are no files, expected a repository of models")
    print(f"{count} files copied from {shown} to {folder}")


main(*sys.argv[1:])
