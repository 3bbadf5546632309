"""What a volume cell, a forecast and an intraday update are. Pure."""
