"""What a history says in numbers: counts, throughput, recovery times, sizes. Pure."""
