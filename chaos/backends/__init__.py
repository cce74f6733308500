"""Clusters that experiments run on: processes of this machine, or pods of a Kubernetes cluster."""
