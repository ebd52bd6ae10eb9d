"""Which version should serve: the control log folded, a plan, the canary's split and limits, what a worker reports."""
