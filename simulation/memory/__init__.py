"""The stores in memory, for simulations: one object stands for a server, and each process reaches it over a link."""
