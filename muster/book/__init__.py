"""The book: its types, its YAML, its validation, and a service's copy of it."""
