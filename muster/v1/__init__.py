"""Muster on the wire: GENERATED from protos/ by protos/generate.py. Do not edit."""
