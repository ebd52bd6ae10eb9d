"""The worker's pages on Faust's web server: probes, metrics, models."""

from stream_infer.web.pages import Watched, add_pages
from stream_infer.web.port import check_port

__all__ = ["Watched", "add_pages", "check_port"]
