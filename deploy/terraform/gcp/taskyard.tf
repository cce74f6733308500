module "release" {
  source = "../release"

  name      = "taskyard"
  namespace = var.namespace
  chart     = coalesce(var.chart, "${path.module}/../../../helm/taskyard")
  values    = [for path in var.values_files : file(path)]

  # Both have an authority of their own that signs for nobody else, and no name that a certificate could have.
  postgres = {
    url = format("postgresql://%s:%s@%s:5432/%s?sslmode=verify-ca&sslrootcert=/etc/taskyard/tls/postgres/ca.crt",
      google_sql_user.taskyard.name, random_password.postgres.result,
      google_sql_database_instance.postgres.private_ip_address, google_sql_database.taskyard.name,
    )
    ca = join("\n", google_sql_database_instance.postgres.server_ca_cert[*].cert)
  }
  redis = {
    url = format("rediss://:%s@%s:%d/0?ssl_ca_certs=/etc/taskyard/tls/redis/ca.crt&ssl_check_hostname=false",
      google_redis_instance.redis.auth_string, google_redis_instance.redis.host, google_redis_instance.redis.port,
    )
    ca = join("\n", google_redis_instance.redis.server_ca_certs[*].cert)
  }

  # SSDs, encrypted; every cluster has this class.
  etcd_storage_class = "premium-rwo"
  etcd_storage       = var.etcd_storage
  worker_nodes       = local.worker_nodes

  depends_on = [google_container_node_pool.main, google_compute_firewall.workers_to_stores]
}
