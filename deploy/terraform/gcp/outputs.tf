output "cluster_name" {
  description = "Name of the GKE cluster."
  value       = google_container_cluster.main.name
}

output "kubectl" {
  description = "The command that lets kubectl in."
  value       = "gcloud container clusters get-credentials ${google_container_cluster.main.name} --region ${var.region} --project ${var.project}"
}

output "namespace" {
  description = "Kubernetes namespace of Taskyard."
  value       = module.release.namespace
}

output "workload_pool" {
  description = "The cluster's identity pool, for roles of your workers' service accounts."
  value       = google_container_cluster.main.workload_identity_config[0].workload_pool
}

output "network" {
  description = "The network."
  value       = google_compute_network.main.id
}

output "postgres_address" {
  description = "Private address of Postgres, in reach of control nodes only."
  value       = google_sql_database_instance.postgres.private_ip_address
}

output "redis_address" {
  description = "Private address of Redis, in reach of control nodes only."
  value       = google_redis_instance.redis.host
}
