"""`stream-infer model`: make a version's folder, check one, list what is there."""

from pathlib import Path
from typing import Annotated, Any

import typer

from stream_infer.cli.options import CommonOptions, with_common_options
from stream_infer.errors import WrongUse
from stream_infer.model.device import open_device
from stream_infer.model.load import load_version
from stream_infer.model.package import collect_parcel, describe, write_version
from stream_infer.model.repository import list_versions, open_repository

app = typer.Typer(
    name="model", help="Package, verify and list model versions.", no_args_is_help=True, add_completion=False
)


@app.command("package")
@with_common_options
def package(  # noqa: PLR0913 - a parameter is an option
    _common: CommonOptions,
    *,
    artifact: Annotated[Path, typer.Option(help="The model: .pt2, .pt or .safetensors.")],
    name: Annotated[str, typer.Option(help="The model's name.")],
    version: Annotated[str, typer.Option(help="The new version's name.")],
    repository: Annotated[
        Path, typer.Option(help="Folder of the models; the version goes to REPOSITORY/NAME/VERSION.")
    ],
    manifest: Annotated[Path | None, typer.Option(help="A model.yaml to start from; files are filled in.")] = None,
    golden: Annotated[Path | None, typer.Option(help="JSON lines of inputs with expected scores.")] = None,
    field: Annotated[str | None, typer.Option(help="Array field that is the model's input.")] = None,
    shape: Annotated[str | None, typer.Option(help="Its lengths without the batch, as 32 or 8,8.")] = None,
    dtype: Annotated[str, typer.Option(help="Its type.")] = "float32",
    task: Annotated[str | None, typer.Option(help="classification, regression or raw.")] = None,
    activation: Annotated[str, typer.Option(help="softmax, sigmoid or none.")] = "none",
    labels: Annotated[str | None, typer.Option(help="The classes' names, as legit,fraud.")] = None,
) -> None:
    """Write a version's folder: the artifact, and a model.yaml with its digests."""
    described = describe(field=field, shape=_numbers(shape), dtype=dtype)
    described |= _outputs(task, activation, labels)
    parcel = collect_parcel(artifact, manifest=manifest, described=described, golden=golden)
    written = write_version(parcel, repository, name=name, version=version)
    typer.echo(f"wrote {written.path}; check it with: stream-infer model verify {written.path}")


@app.command("verify")
@with_common_options
def verify(
    common: CommonOptions,
    *,
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A version's folder: REPOSITORY/NAME/VERSION.")],
) -> None:
    """Check a version's folder: digests, load, warm, golden samples; one line for each."""
    settings = common.start()
    load_version(
        directory,
        device=open_device(settings.model.device),
        batch_size=settings.batching.max_batch_size,
        allow_code_formats=settings.model.allow_code_formats,
        report=typer.echo,
    )


@app.command("list")
@with_common_options
def list_(
    common: CommonOptions,
    *,
    repository: Annotated[str | None, typer.Option(help="Folder or URL of the models; else model.repository.")] = None,
) -> None:
    """List the versions in the repository, a line each: model, version, folder or URL."""
    location = repository or common.load().settings.model.repository
    for found in list_versions(open_repository(location)):
        typer.echo(f"{found.name}\t{found.version}\t{found.location}")


def _outputs(task: str | None, activation: str, labels: str | None) -> dict[str, Any]:
    if task is None:
        return {}
    named = {"labels": [label.strip() for label in labels.split(",")]} if labels else {}
    return {"outputs": {"task": task, "activation": activation, **named}}


def _numbers(shape: str | None) -> list[int] | None:
    try:
        return None if shape is None else [int(one) for one in shape.split(",")]
    except ValueError as error:
        raise WrongUse(f"--shape is {shape}, expected whole numbers, as 32 or 8,8") from error
