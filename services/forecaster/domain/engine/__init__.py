"""The forecasting engine: panels of series in, expected contacts and their spread out. Pure, batched over series."""
