"""What client systems and the CLI use: a typed publisher over Kafka, and stubs over gRPC."""
