"""Builds the extension in stream_infer/transport/_rows.c; where that does not work the package serves without it."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import sys_tags
from setuptools import Distribution, Extension
from setuptools.command.build_ext import build_ext

MODULE = "stream_infer.transport._rows"
SOURCE = "stream_infer/transport/_rows.c"
BUILT = "stream_infer/transport/_rows.abi3.so"


class ExtensionHook(BuildHookInterface):  # type: ignore[type-arg]
    """Compiles beside the source, from where an editable install reads and a wheel takes it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the extension to a wheel, or say why there is none."""
        built = Path(self.root, BUILT)
        built.unlink(missing_ok=True)
        compile_beside_source()
        if not built.exists():
            self.app.display_warning(f"{SOURCE} was not built: answers will be handed to librdkafka one by one")
            return
        build_data["pure_python"] = False
        build_data["tag"] = f"cp311-abi3-{_platform()}"
        build_data["artifacts"].append(BUILT)


def compile_beside_source() -> None:
    """Compile with the compiler of this Python, or of the variable CC; without one it says so and goes on."""
    extension = Extension(
        MODULE, [SOURCE], py_limited_api=True, optional=True, extra_compile_args=["-std=c11", "-fvisibility=hidden"]
    )
    command = build_ext(Distribution({"name": "stream-infer", "ext_modules": [extension]}))
    command.inplace = True
    with TemporaryDirectory() as folder:
        # Nothing that was built before may stand in for what does not build now.
        command.build_temp, command.build_lib, command.force = f"{folder}/temp", f"{folder}/lib", True
        command.ensure_finalized()
        command.run()


def _platform() -> str:
    return next(
        tag.platform for tag in sys_tags() if "manylinux" not in tag.platform and "musllinux" not in tag.platform
    )
