"""The data's path on the compute thread, a file a step; `run.py` reads it top to bottom."""
