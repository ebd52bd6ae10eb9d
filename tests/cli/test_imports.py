"""What a command imports: torch takes seconds, and an operator's words need none."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("command", ["compare", "config", "consume", "dlq", "produce", "rollout", "topics"])
def test_a_command_that_calls_no_model_starts_without_torch(command: str) -> None:
    program = f"import sys, stream_infer.cli.{command}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
