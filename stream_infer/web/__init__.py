"""The worker's pages on Faust's web server: probes, metrics, models, and predictions.

pages         probes, metrics, models             port     whether the port is free
asked         the pages of predictions            body     what a request holds
predict       its rows, scored                    rows     JSON to the columns of a version
refusals      why a request is not answered       answers  scores to JSON
counts        what is counted of requests         openapi  the pages, described
shapes        what a row may be, as JSON schema
"""

from stream_infer.web.asked import add_document, add_predictions
from stream_infer.web.pages import Watched, add_pages
from stream_infer.web.port import check_port

__all__ = ["Watched", "add_document", "add_pages", "add_predictions", "check_port"]
