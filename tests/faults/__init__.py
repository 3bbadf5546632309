"""Faults on a genuine Kafka, with SQLite and with PostgreSQL: lost 0, double 0."""
