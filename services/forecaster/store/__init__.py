"""The forecaster's own SQL: nobody else reads it."""
