"""A real helm, and what it makes of the chart."""

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.house.source import ROOT

CHART = ROOT / "helm" / "stream-infer"
DOCKERFILE = ROOT / "Dockerfile"
RELEASE = "fraud"
NAMESPACE = "scoring"
NEWEST = "1.37.0"
SETS = sorted(Path(__file__).with_name("values").glob("*.yaml"))
Manifest = dict[str, Any]


class Refused(Exception):
    """Helm did not take the values; the text is what it said."""


class _Strict(yaml.SafeLoader):
    """Refuses what YAML readers silently make one of: a key that is there twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"a key is there twice in {keys}"
        return super().construct_mapping(node, deep)


@dataclass(frozen=True, slots=True)
class Helm:
    """The program, and a folder in which it may keep what it likes."""

    program: Path
    home: Path

    def run(self, *arguments: str, values: Sequence[Mapping[str, Any] | Path] = ()) -> str:
        """Return what a command writes to standard output; raises Refused with what it writes to standard error."""
        files = [part for given in values for part in ("--values", str(self._file(given)))]
        ended = subprocess.run(
            [str(self.program), *arguments, *files],
            env={"HOME": str(self.home), "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if ended.returncode:
            raise Refused(ended.stderr + ended.stdout)
        return ended.stdout

    def text(self, *values: Mapping[str, Any] | Path, kubernetes: str = NEWEST) -> str:
        """Return the manifests as they are written."""
        where = ("--namespace", NAMESPACE, "--kube-version", kubernetes)
        return self.run("template", RELEASE, str(CHART), *where, values=values)

    def render(self, *values: Mapping[str, Any] | Path, kubernetes: str = NEWEST) -> "Rendered":
        """Return the manifests; raises Refused."""
        return Rendered(tuple(manifests(self.text(*values, kubernetes=kubernetes))))

    def notes(self, *values: Mapping[str, Any] | Path) -> str:
        """Return what a person reads after an install."""
        said = self.run("install", RELEASE, str(CHART), "--dry-run=client", values=values)
        return said.partition("\nNOTES:\n")[2]

    def _file(self, given: Mapping[str, Any] | Path) -> Path:
        if isinstance(given, Path):
            return given
        path = self.home / "values.json"
        path.write_text(json.dumps(given), encoding="utf-8")
        return path


def manifests(text: str) -> Iterator[Manifest]:
    """Yield every manifest of a stream of YAML documents."""
    yield from (one for one in yaml.load_all(text, _Strict) if one)


@dataclass(frozen=True, slots=True)
class Rendered:
    """The manifests of one release."""

    all: tuple[Manifest, ...]

    def of(self, kind: str) -> list[Manifest]:
        """Return the manifests of one kind."""
        return [one for one in self.all if one["kind"] == kind]

    def one(self, kind: str, name: str | None = None) -> Manifest:
        """Return the only manifest of a kind, or the one of that name."""
        (found,) = [one for one in self.of(kind) if name in {None, one["metadata"]["name"]}]
        return found

    @property
    def deployment(self) -> Manifest:
        """Return the Deployment's spec."""
        spec: Manifest = self.one("Deployment")["spec"]
        return spec

    @property
    def pod(self) -> Manifest:
        """Return the workers' pod spec."""
        spec: Manifest = self.deployment["template"]["spec"]
        return spec

    @property
    def worker(self) -> Manifest:
        """Return the worker's container."""
        (container,) = self.pod["containers"]
        return dict(container)

    @property
    def settings(self) -> Manifest:
        """Return the settings file that the workers read."""
        data = next(one["data"] for one in self.of("ConfigMap") if "helm.sh/hook" not in annotations(one))
        return dict(yaml.safe_load(data["stream-infer.yaml"]))

    def containers(self) -> list[Manifest]:
        """Return every container of everything that runs."""
        return [one for pod in self.pods() for one in [*pod["containers"], *pod.get("initContainers", [])]]

    def pods(self) -> list[Manifest]:
        """Return the pod spec of everything that runs."""
        templates = [one["spec"]["template"]["spec"] for one in self.all if one["kind"] in {"Deployment", "Job"}]
        return [*templates, *(one["spec"] for one in self.of("Pod"))]


def image_environment() -> dict[str, str]:
    """Return the settings that the image itself has in its environment: those of the Dockerfile's last stage."""
    last = DOCKERFILE.read_text(encoding="utf-8").rpartition("\nFROM ")[2]
    return dict(re.findall(r"^(?:ENV )?\s*(STREAM_INFER_\w+)=(\S+)", last, re.MULTILINE))


def annotations(manifest: Manifest) -> Mapping[str, str]:
    """Return a manifest's annotations, perhaps none."""
    found: Mapping[str, str] = manifest["metadata"].get("annotations", {})
    return found
