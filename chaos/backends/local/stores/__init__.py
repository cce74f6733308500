"""The three stores, each as more than one process."""
