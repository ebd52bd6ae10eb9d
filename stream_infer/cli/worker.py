"""`stream-infer worker`: score the input topic until told to stop."""

import faust
import typer

from stream_infer.app import create_app, worker_of
from stream_infer.cli.options import CommonOptions, with_common_options
from stream_infer.errors import StreamInferError
from stream_infer.logs import logging_of
from stream_infer.web import check_port


@with_common_options
def worker(common: CommonOptions) -> None:
    """Score the input topic until told to stop: SIGTERM drains, and the exit code is 0 after a clean drain."""
    settings = common.start()
    app = create_app(settings)
    scoring = worker_of(app)
    if settings.web.enabled:
        check_port(settings.web.host, settings.web.port)
    level, config = settings.log.level.upper(), logging_of(settings)
    runner = faust.Worker(app, loglevel=level, logging_config=config, redirect_stdouts=False)
    runner.spinner = None
    try:
        runner.execute_from_commandline()
    except SystemExit as ended:
        if isinstance(scoring.failure, StreamInferError):
            raise scoring.failure from None
        failed = ended.code not in {0, None} or scoring.failure is not None or not scoring.clean
        raise typer.Exit(1 if failed else 0) from None
