"""What checkov finds in the manifests is explained in helm/checkov.yaml, and what is explained there is found."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.rendering import SETS, Helm
from tests.house.source import ROOT

pytestmark = [pytest.mark.chart, pytest.mark.timeout(400)]

REASONS: Mapping[str, Mapping[str, Any]] = yaml.safe_load((ROOT / "helm/checkov.yaml").read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class Failure:
    """A check that a manifest of one set of values fails."""

    check: str
    kind: str
    values: str

    def is_explained(self) -> bool:
        reason = REASONS.get(self.check)
        if reason is None:
            return False
        return reason.get("kind", self.kind) == self.kind and self.values in reason.get("values", [self.values])


def scan(folder: Path) -> set[Failure]:
    """Return every check that fails; what checkov runs comes with it, nothing is downloaded."""
    program = Path(sys.executable).with_name("checkov")
    arguments = ["--framework", "kubernetes", "--skip-download", "--compact", "--quiet", "--output", "json"]
    ended = subprocess.run(
        [str(program), "--directory", str(folder), *arguments], capture_output=True, text=True, timeout=300, check=False
    )
    found = json.loads(ended.stdout)
    assert not found["summary"]["parsing_errors"]
    assert found["summary"]["passed"] > 20 * len(list(folder.iterdir()))
    return {
        # A pod that a Deployment makes is named after that, with its labels behind.
        Failure(one["check_id"], one["resource"].partition(".")[0], Path(one["file_path"]).stem)
        for one in found["results"]["failed_checks"]
    }


@pytest.fixture(scope="module")
def failures(helm: Helm, tmp_path_factory: pytest.TempPathFactory) -> set[Failure]:
    folder = tmp_path_factory.mktemp("rendered")
    for values in SETS:
        (folder / values.name).write_text(helm.text(values), encoding="utf-8")
    return scan(folder)


def test_every_failed_check_is_explained(failures: set[Failure]) -> None:
    assert {one for one in failures if not one.is_explained()} == set()


def test_every_explanation_is_needed_and_says_why(failures: set[Failure]) -> None:
    assert {one.check for one in failures} == set(REASONS)
    named = {(check, values) for check, reason in REASONS.items() for values in reason.get("values", [])}
    assert named <= {(one.check, one.values) for one in failures}
    assert all(reason["why"].endswith(".") for reason in REASONS.values())


@pytest.mark.parametrize(
    ("before", "after", "check"),
    [
        ("readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "CKV_K8S_22"),
        ("allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true", "CKV_K8S_20"),
        ("automountServiceAccountToken: false", "automountServiceAccountToken: true", "CKV_K8S_38"),
        ("drop: [ALL]", "drop: []", "CKV_K8S_28"),
    ],
)
def test_a_weaker_chart_is_found(helm: Helm, tmp_path: Path, before: str, after: str, check: str) -> None:
    (tmp_path / "claim.yaml").write_text(helm.text(SETS[0].with_name("claim.yaml")).replace(before, after), "utf-8")
    assert check in {one.check for one in scan(tmp_path) if not one.is_explained()}
