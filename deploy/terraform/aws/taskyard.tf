resource "kubernetes_storage_class_v1" "etcd" {
  metadata {
    name = "${var.name}-etcd"
  }
  storage_provisioner    = "ebs.csi.aws.com"
  reclaim_policy         = "Delete"
  volume_binding_mode    = "WaitForFirstConsumer"
  allow_volume_expansion = true
  parameters             = { type = "gp3", encrypted = "true" }

  depends_on = [aws_eks_addon.ebs_csi_driver]
}

module "release" {
  source = "../release"

  name      = "taskyard"
  namespace = var.namespace
  chart     = coalesce(var.chart, "${path.module}/../../../helm/taskyard")
  values    = [for path in var.values_files : file(path)]

  postgres = {
    url = format("postgresql://%s:%s@%s/%s?sslmode=verify-full&sslrootcert=/etc/taskyard/tls/postgres/ca.crt",
      aws_db_instance.postgres.username, random_password.postgres.result, aws_db_instance.postgres.endpoint, aws_db_instance.postgres.db_name,
    )
    ca = data.http.postgres_ca.response_body
  }
  redis = {
    # Amazon's certificates are signed by an authority that every system knows.
    url = format("rediss://:%s@%s:%d/0?ssl_ca_certs=/etc/ssl/certs/ca-certificates.crt&ssl_check_hostname=true",
      random_password.redis.result, aws_elasticache_replication_group.redis.primary_endpoint_address, aws_elasticache_replication_group.redis.port,
    )
  }

  etcd_storage_class = kubernetes_storage_class_v1.etcd.metadata[0].name
  etcd_storage       = var.etcd_storage
  worker_nodes       = local.worker_nodes

  depends_on = [aws_eks_addon.coredns, aws_eks_node_group.workers]
}
