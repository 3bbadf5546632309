"""How a service runs: settings, logs, metrics, clock, batch loop, outbox, due work, jobs, SQL, gRPC. No word of the trade."""
