"""Rules for numbers that people see: where agents are rounded, once."""

import math


def whole_agents(agents: float) -> int:
    """Round agents up to heads. A millionth over a whole number is arithmetic, not a person."""
    return math.ceil(agents - 1e-6)
