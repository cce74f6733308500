"""The whole system in one event loop: virtual time, and a seed that decides everything else."""
