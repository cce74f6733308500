# Terraform stands in for both providers: `terraform test` needs no cluster and makes nothing.

mock_provider "helm" {}
mock_provider "kubernetes" {}

variables {
  name               = "taskyard"
  namespace          = "jobs"
  chart              = "./chart"
  postgres           = { url = "postgresql://db/taskyard", ca = "ca" }
  redis              = { url = "rediss://redis:6379/0" }
  worker_nodes       = { label = "pool", value = "workers" }
  etcd_storage_class = "fast"
  etcd_storage       = "8Gi"
}

run "without_an_authority_for_redis" {
  assert {
    condition     = length(kubernetes_secret_v1.redis_ca) == 0 && yamldecode(helm_release.taskyard.values[0]).redis.tls.existingSecret == ""
    error_message = "There is a Secret with nothing in it."
  }
  assert {
    condition     = !strcontains(helm_release.taskyard.values[0], "postgresql://") && !strcontains(helm_release.taskyard.values[0], "rediss://")
    error_message = "A URL is in the values."
  }
  assert {
    condition     = yamldecode(helm_release.taskyard.values[0]).workerDefaults.nodeSelector.pool == "workers"
    error_message = "Workers run anywhere."
  }
}

run "with_one" {
  variables {
    redis  = { url = "rediss://redis:6379/0", ca = "ca" }
    values = ["scheduler: {replicaCount: 5}"]
  }

  assert {
    condition     = yamldecode(helm_release.taskyard.values[0]).redis.tls.existingSecret == "taskyard-redis-ca"
    error_message = "Nobody reads the authority."
  }
  assert {
    condition     = yamldecode(helm_release.taskyard.values[1]).scheduler.replicaCount == 5
    error_message = "Values of one's own are not the last."
  }
}
