from tests.end_to_end.conftest import make_job, model_cache

__all__ = ["make_job", "model_cache"]
