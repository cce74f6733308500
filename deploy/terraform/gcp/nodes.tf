# Two pools: one may reach the stores, the other runs code that tasks call, and may not.

locals {
  worker_nodes = { label = "taskyard.io/pool", value = "workers" }

  pools = {
    control = {
      machine_type = var.control_nodes.machine_type
      min          = var.control_nodes.min
      max          = var.control_nodes.max
      spot         = false
      labels       = {}
      taints       = []
    }
    workers = {
      machine_type = var.worker_nodes.machine_type
      min          = var.worker_nodes.min
      max          = var.worker_nodes.max
      spot         = var.worker_nodes.spot
      labels       = { (local.worker_nodes.label) = local.worker_nodes.value }
      taints       = [local.worker_nodes]
    }
  }
}

resource "google_container_node_pool" "main" {
  for_each = local.pools

  name               = each.key
  cluster            = google_container_cluster.main.id
  initial_node_count = 1

  autoscaling {
    total_min_node_count = each.value.min
    total_max_node_count = each.value.max
    location_policy      = each.value.spot ? "ANY" : "BALANCED"
  }

  management {
    auto_repair  = true
    auto_upgrade = true
  }

  # One at a time, after its successor is there: etcd has three members and can miss one.
  upgrade_settings {
    max_surge       = 1
    max_unavailable = 0
  }

  node_config {
    machine_type    = each.value.machine_type
    spot            = each.value.spot
    disk_type       = "pd-balanced"
    disk_size_gb    = var.node_disk_gb
    service_account = google_service_account.nodes[each.key].email
    # What the account may do is decided by its roles alone.
    oauth_scopes = ["https://www.googleapis.com/auth/cloud-platform"]
    labels       = each.value.labels

    dynamic "taint" {
      for_each = each.value.taints
      content {
        key    = taint.value.label
        value  = taint.value.value
        effect = "NO_SCHEDULE"
      }
    }

    shielded_instance_config {
      enable_secure_boot          = true
      enable_integrity_monitoring = true
    }

    workload_metadata_config {
      mode = "GKE_METADATA"
    }
  }

  lifecycle {
    ignore_changes = [initial_node_count]
  }

  # Nodes need a way out to start, and pods to clean up after themselves at the end.
  depends_on = [google_compute_router_nat.main]
}
