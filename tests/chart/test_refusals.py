"""Values that cannot work together are refused, all at once, a sentence each."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.rendering import CHART, SETS, Helm, Refused

pytestmark = pytest.mark.chart

BASE = SETS[0].with_name("url.yaml")
NO_BROKERS = "config.kafka.bootstrap_servers is not set, expected the brokers' addresses, as kafka:9092."
CASES = yaml.safe_load(Path(__file__).with_name("refusals.yaml").read_text(encoding="utf-8"))


def refused(helm: Helm, *values: Any, kubernetes: str = "1.34.0") -> str:
    with pytest.raises(Refused) as found:
        helm.text(*values, kubernetes=kubernetes)
    return str(found.value)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["sentence"].partition(",")[0])
def test_what_cannot_work_is_refused_with_a_sentence(helm: Helm, case: dict[str, Any]) -> None:
    assert case["sentence"] in refused(helm, BASE, case["values"]).splitlines()


def test_an_image_volume_needs_a_kubernetes_that_has_them(helm: Helm) -> None:
    said = refused(helm, SETS[0].with_name("image-volume.yaml"), kubernetes="1.32.4")
    assert "modelVolume.type is image, which needs Kubernetes 1.33 or later, expected another type" in said


def test_everything_that_is_wrong_is_told_at_once(helm: Helm) -> None:
    said = refused(helm, {}).splitlines()
    assert NO_BROKERS in said
    assert len([line for line in said if ", expected " in line]) == 2


def test_every_sentence_of_the_chart_is_shown_to_be_said() -> None:
    template = (CHART / "templates" / "_refuse.tpl").read_text(encoding="utf-8")
    lines = [line for line in template.splitlines() if ", expected " in line]
    told = [NO_BROKERS, *(case["sentence"] for case in CASES)]
    unsaid = [line for line in lines if not any(re.fullmatch(pattern(line), sentence) for sentence in told)]
    assert len(lines) > 15
    assert [line for line in unsaid if "Kubernetes 1.33" not in line] == []


def pattern(line: str) -> str:
    """Return what a line of a template may become."""
    return ".*".join(map(re.escape, re.split(r"\{\{.*?\}\}", line)))
