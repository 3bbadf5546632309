"""Staffing's own SQL: nobody else reads it."""
