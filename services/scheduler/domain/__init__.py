"""Shifts, work rules, audit, amendments. Pure."""
