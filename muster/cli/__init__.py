"""The `muster` command: what planners, ops and integrators type."""
