# One account for each pool, with what a node itself needs.
resource "google_service_account" "nodes" {
  for_each = toset(["control", "workers"])

  account_id   = "${var.name}-${each.key}"
  display_name = "Nodes of ${var.name}, ${each.key}"

  depends_on = [google_project_service.needed]
}

resource "google_project_iam_member" "nodes" {
  for_each = {
    for pair in setproduct(["control", "workers"], ["container.defaultNodeServiceAccount", "artifactregistry.reader"]) :
    join(" ", pair) => { pool = pair[0], role = pair[1] }
  }

  project = var.project
  role    = "roles/${each.value.role}"
  member  = google_service_account.nodes[each.value.pool].member
}

resource "google_container_cluster" "main" {
  name                = var.name
  location            = var.region
  deletion_protection = var.deletion_protection

  network         = google_compute_network.main.id
  subnetwork      = google_compute_subnetwork.nodes.id
  networking_mode = "VPC_NATIVE"
  # This is what holds the chart's network policies.
  datapath_provider = "ADVANCED_DATAPATH"

  ip_allocation_policy {
    cluster_secondary_range_name  = "pods"
    services_secondary_range_name = "services"
  }

  # A cluster is born with a pool; it goes at once, and must not use the project's default account until then.
  remove_default_node_pool = true
  initial_node_count       = 1
  node_config {
    service_account = google_service_account.nodes["control"].email
    oauth_scopes    = ["https://www.googleapis.com/auth/cloud-platform"]
    disk_size_gb    = 20
  }

  private_cluster_config {
    enable_private_nodes    = true
    enable_private_endpoint = length(var.api_allowed_cidrs) == 0
  }

  master_authorized_networks_config {
    gcp_public_cidrs_access_enabled = false

    dynamic "cidr_blocks" {
      for_each = var.api_allowed_cidrs
      content {
        cidr_block = cidr_blocks.value
      }
    }
  }

  # Nobody comes in with a certificate that cannot be taken back.
  master_auth {
    client_certificate_config {
      issue_client_certificate = false
    }
  }

  # Service accounts of Kubernetes may be given roles; pods do not get the node's.
  workload_identity_config {
    workload_pool = "${var.project}.svc.id.goog"
  }

  release_channel {
    channel = var.release_channel
  }

  lifecycle {
    ignore_changes = [node_config]
  }

  depends_on = [google_project_iam_member.nodes]
}
