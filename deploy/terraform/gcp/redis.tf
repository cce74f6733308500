# Redis on two machines in two zones. Taskyard can lose all of it, so it is not backed up.

resource "google_redis_instance" "redis" {
  name                 = var.name
  region               = var.region
  redis_version        = var.redis_version
  tier                 = "STANDARD_HA"
  memory_size_gb       = var.redis_memory_gb
  customer_managed_key = var.kms_key
  deletion_protection  = var.deletion_protection

  authorized_network      = google_compute_network.main.id
  connect_mode            = "PRIVATE_SERVICE_ACCESS"
  auth_enabled            = true
  transit_encryption_mode = "SERVER_AUTHENTICATION"

  # What is full must say so: evicted entries would only look like work.
  redis_configs = { maxmemory-policy = "noeviction" }

  depends_on = [google_service_networking_connection.stores]
}
