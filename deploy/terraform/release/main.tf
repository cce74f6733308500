# Taskyard on a cluster that is there: the same on every cloud.

locals {
  # Pods read their URLs when they start: new ones, new pods. What is hashed holds a long random password.
  stores = { "checksum/stores" = nonsensitive(sha256(jsonencode([var.postgres, var.redis]))) }

  values = {
    postgres = {
      builtin        = { enabled = false }
      existingSecret = kubernetes_secret_v1.postgres.metadata[0].name
      tls            = { existingSecret = kubernetes_secret_v1.postgres_ca.metadata[0].name }
    }
    redis = {
      builtin        = { enabled = false }
      existingSecret = kubernetes_secret_v1.redis.metadata[0].name
      tls            = { existingSecret = try(kubernetes_secret_v1.redis_ca[0].metadata[0].name, "") }
    }
    # The chart's own: three survive the loss of one, and what they hold Taskyard can make again.
    etcd = {
      builtin = {
        enabled      = true
        replicaCount = 3
        storage      = var.etcd_storage
        storageClass = var.etcd_storage_class
      }
    }
    scheduler  = { podAnnotations = local.stores }
    dispatcher = { podAnnotations = local.stores }
    workerDefaults = {
      nodeSelector = { (var.worker_nodes.label) = var.worker_nodes.value }
      tolerations  = [{ key = var.worker_nodes.label, operator = "Equal", value = var.worker_nodes.value, effect = "NoSchedule" }]
    }
  }
}

resource "kubernetes_namespace_v1" "taskyard" {
  metadata {
    name   = var.namespace
    labels = { "pod-security.kubernetes.io/enforce" = "restricted" }
  }
}

resource "kubernetes_secret_v1" "postgres" {
  metadata {
    name      = "${var.name}-postgres"
    namespace = kubernetes_namespace_v1.taskyard.metadata[0].name
  }
  data = { url = var.postgres.url }
}

resource "kubernetes_secret_v1" "postgres_ca" {
  metadata {
    name      = "${var.name}-postgres-ca"
    namespace = kubernetes_namespace_v1.taskyard.metadata[0].name
  }
  data = { "ca.crt" = var.postgres.ca }
}

resource "kubernetes_secret_v1" "redis" {
  metadata {
    name      = "${var.name}-redis"
    namespace = kubernetes_namespace_v1.taskyard.metadata[0].name
  }
  data = { url = var.redis.url }
}

resource "kubernetes_secret_v1" "redis_ca" {
  count = nonsensitive(var.redis.ca == null) ? 0 : 1

  metadata {
    name      = "${var.name}-redis-ca"
    namespace = kubernetes_namespace_v1.taskyard.metadata[0].name
  }
  data = { "ca.crt" = var.redis.ca }
}

resource "helm_release" "taskyard" {
  name      = var.name
  namespace = kubernetes_namespace_v1.taskyard.metadata[0].name
  chart     = var.chart
  values    = concat([yamlencode(local.values)], var.values)

  # The first start pulls images, makes volumes and brings the tables up to date.
  timeout       = 900
  wait          = true
  wait_for_jobs = true
}
