"""What clients may ask for: one implementation, spoken to over gRPC and REST."""
