"""Requirements held against tables and simulated days."""
