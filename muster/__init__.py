"""Muster: workforce scaling for BPO providers."""
