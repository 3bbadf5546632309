"""Muster's services: forecaster, staffing, scheduler."""
