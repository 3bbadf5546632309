"""One machine: the broker, the supervisor of the services, the demo."""
