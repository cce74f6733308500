"""A cluster of pods, whose parts are found by their labels; Chaos Mesh does what the Kubernetes API cannot."""

from chaos.backends.kubernetes.cluster import KubernetesCluster, Options

__all__ = ["KubernetesCluster", "Options"]
