"""The forecaster: volume in; forecast out."""
