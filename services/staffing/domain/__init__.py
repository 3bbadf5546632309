"""Erlang formulas, requirement, attainment and decision. Pure."""
