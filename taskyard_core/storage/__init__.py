"""The three stores behind one vocabulary: Postgres decides, Redis hints, etcd tells who is alive."""
