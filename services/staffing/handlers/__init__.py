"""One module a noun: (slice, batch) → (slice, messages). Pure."""
