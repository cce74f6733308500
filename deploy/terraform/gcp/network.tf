# Nodes have no public addresses; the managed stores live in a network of Google's that is joined to this one.

resource "google_project_service" "needed" {
  for_each = toset(["cloudresourcemanager", "compute", "container", "iam", "redis", "servicenetworking", "sqladmin"])

  service            = "${each.key}.googleapis.com"
  disable_on_destroy = false
}

resource "google_compute_network" "main" {
  name                    = var.name
  auto_create_subnetworks = false

  depends_on = [google_project_service.needed]
}

resource "google_compute_subnetwork" "nodes" {
  name                     = "${var.name}-nodes"
  network                  = google_compute_network.main.id
  region                   = var.region
  ip_cidr_range            = var.network_cidrs.nodes
  private_ip_google_access = true

  secondary_ip_range {
    range_name    = "pods"
    ip_cidr_range = var.network_cidrs.pods
  }
  secondary_ip_range {
    range_name    = "services"
    ip_cidr_range = var.network_cidrs.services
  }
}

resource "google_compute_router" "main" {
  name    = var.name
  network = google_compute_network.main.id
  region  = var.region
}

resource "google_compute_router_nat" "main" {
  name                               = var.name
  router                             = google_compute_router.main.name
  region                             = var.region
  nat_ip_allocate_option             = "AUTO_ONLY"
  source_subnetwork_ip_ranges_to_nat = "ALL_SUBNETWORKS_ALL_IP_RANGES"
}

resource "google_compute_global_address" "stores" {
  name          = "${var.name}-stores"
  network       = google_compute_network.main.id
  purpose       = "VPC_PEERING"
  address_type  = "INTERNAL"
  address       = split("/", var.network_cidrs.stores)[0]
  prefix_length = tonumber(split("/", var.network_cidrs.stores)[1])
}

resource "google_service_networking_connection" "stores" {
  network                 = google_compute_network.main.id
  service                 = "servicenetworking.googleapis.com"
  reserved_peering_ranges = [google_compute_global_address.stores.name]
  # Google keeps its side for days after the last database is gone, and refuses to let go.
  deletion_policy = "ABANDON"
}

# Nothing comes in that no rule lets in, and there is none here; GKE makes its own. Workers may not even go to the stores.
resource "google_compute_firewall" "workers_to_stores" {
  name                    = "${var.name}-workers-to-stores"
  network                 = google_compute_network.main.id
  direction               = "EGRESS"
  priority                = 900
  target_service_accounts = [google_service_account.nodes["workers"].email]
  destination_ranges      = [var.network_cidrs.stores]

  deny {
    protocol = "all"
  }
}
