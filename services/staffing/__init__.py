"""Staffing: forecast in, requirement out; schedule and floor in, decision out."""
