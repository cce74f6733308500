"""The control plane: the public API over gRPC and REST, which accepts tasks and answers for them."""
