"""The scheduler's own SQL: nobody else reads it."""
