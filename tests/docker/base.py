"""A base image from debootstrap: the same Debian as here, from the mirror that apt uses, and no image registry."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from tests.docker.daemon import docker

NAME = "stream-infer-test-base"
WHEELS = "/opt/wheels"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
PACKAGES = "python3,python3-dev,python3-venv,ca-certificates"
SOURCES = Path("/etc/apt")


def mirror() -> str:
    """Return where apt gets Debian from."""
    texts = [path.read_text(encoding="utf-8") for path in (*SOURCES.glob("*.list"), *SOURCES.glob("sources.list.d/*"))]
    found = re.search(r"^(?:deb|URIs:)\s+(\S*debian/?)(?=\s|$)", "\n".join(texts), re.MULTILINE)
    assert found, "apt's sources name no mirror of Debian"
    return found[1]


def suite() -> str:
    """Return the release of Debian that runs here."""
    found = re.search(r"^VERSION_CODENAME=(\w+)$", Path("/etc/os-release").read_text(encoding="utf-8"), re.MULTILINE)
    assert found, "/etc/os-release names no release"
    return found[1]


def make_base(folder: Path) -> dict[str, str]:
    """Make the image; return the build arguments by which pip finds what this machine's own pip is told to find."""
    root = folder / "root"
    command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", suite(), str(root), mirror()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    shutil.rmtree(root / "var" / "cache" / "apt", ignore_errors=True)
    if CERTIFICATES.exists():
        shutil.copyfile(CERTIFICATES, root / CERTIFICATES.relative_to("/"))
    found = _bring_wheels(root)
    with subprocess.Popen(["tar", "--create", "--directory", str(root), "."], stdout=subprocess.PIPE) as packed:
        subprocess.run(["docker", "import", "-", NAME], stdin=packed.stdout, check=True, capture_output=True)
    shutil.rmtree(root)
    return {"BASE": NAME, **found}


def _bring_wheels(root: Path) -> dict[str, str]:
    """Copy the wheels and constraints of this machine's pip into the image."""
    folders = [Path(one) for one in os.environ.get("PIP_FIND_LINKS", "").split() if Path(one).is_dir()]
    constraint = os.environ.get("PIP_CONSTRAINT")
    (root / WHEELS.lstrip("/")).mkdir(parents=True)
    for wheel in (wheel for each in folders for wheel in each.glob("*.whl")):
        shutil.copy(wheel, root / WHEELS.lstrip("/"))
    found = {"PIP_FIND_LINKS": WHEELS} if folders else {}
    if constraint and Path(constraint).is_file():
        shutil.copy(constraint, root / WHEELS.lstrip("/") / "constraints.txt")
        found["PIP_CONSTRAINT"] = f"{WHEELS}/constraints.txt"
    return found


def build(tag: str, arguments: dict[str, str]) -> str:
    """Build the image of this checkout and return its name."""
    given = [part for name, value in arguments.items() for part in ("--build-arg", f"{name}={value}")]
    checkout = Path(__file__).parents[2]
    docker("build", "--network=host", *given, f"--tag={tag}", str(checkout), timeout_s=1800.0)
    return tag
