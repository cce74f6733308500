# Terraform stands in for all providers: `terraform test` needs no project and makes nothing.

mock_provider "google" {
  mock_data "google_client_config" {
    defaults = { access_token = "token" }
  }
  mock_resource "google_container_cluster" {
    defaults = { endpoint = "203.0.113.1", master_auth = { cluster_ca_certificate = "Y2E=" } }
  }
  mock_resource "google_sql_database_instance" {
    defaults = { private_ip_address = "10.20.32.2", server_ca_cert = [{ cert = "-----BEGIN CERTIFICATE-----" }] }
  }
  mock_resource "google_redis_instance" {
    defaults = { host = "10.20.32.10", port = 6378, server_ca_certs = [{ cert = "-----BEGIN CERTIFICATE-----" }] }
  }
}

mock_provider "helm" {}
mock_provider "kubernetes" {}
mock_provider "random" {}

variables {
  project = "my-project"
  region  = "europe-west1"
}

run "as_it_comes" {
  assert {
    condition     = google_container_cluster.main.private_cluster_config[0].enable_private_endpoint && google_container_cluster.main.deletion_protection
    error_message = "The API is in reach of the Internet, or the cluster is easily deleted."
  }
  assert {
    condition     = google_compute_global_address.stores.address == "10.20.32.0" && google_compute_global_address.stores.prefix_length == 20
    error_message = "The stores lie elsewhere than they should."
  }
  assert {
    condition     = google_compute_firewall.workers_to_stores.destination_ranges == toset(["10.20.32.0/20"])
    error_message = "Workers may reach the stores."
  }
  assert {
    condition     = length(google_container_node_pool.main["workers"].node_config[0].taint) == 1 && length(google_container_node_pool.main["control"].node_config[0].taint) == 0
    error_message = "The wrong nodes bear the taint."
  }
  assert {
    condition     = length(google_project_iam_member.nodes) == 4
    error_message = "Nodes have other roles than they need."
  }
  assert {
    condition     = output.namespace == "taskyard"
    error_message = "Taskyard is elsewhere."
  }
}

run "cheaper_and_open_to_an_office" {
  variables {
    api_allowed_cidrs   = ["203.0.113.0/24"]
    deletion_protection = false
    worker_nodes        = { max = 3, spot = true }
    network_cidrs       = { stores = "10.99.0.0/20" }
  }

  assert {
    condition     = !google_container_cluster.main.private_cluster_config[0].enable_private_endpoint && length(google_container_cluster.main.master_authorized_networks_config[0].cidr_blocks) == 1
    error_message = "The API is closed, or open to others."
  }
  assert {
    condition     = google_container_node_pool.main["workers"].node_config[0].spot && !google_container_node_pool.main["control"].node_config[0].spot
    error_message = "The wrong nodes may be taken away."
  }
  assert {
    condition     = !google_sql_database_instance.postgres.deletion_protection && !google_sql_database_instance.postgres.settings[0].deletion_protection_enabled
    error_message = "It cannot be deleted."
  }
}

run "refuses_what_makes_no_sense" {
  command = plan

  variables {
    name                 = "Taskyard"
    project              = "12"
    region               = "europe-west1-b"
    network_cidrs        = { pods = "everywhere" }
    api_allowed_cidrs    = ["0.0.0.0/0"]
    release_channel      = "RAPID"
    control_nodes        = { min = 1 }
    worker_nodes         = { max = 0 }
    kms_key              = "mine"
    postgres_tier        = "db-f1-micro"
    postgres_disk_gb     = { initial = 600 }
    postgres_backup_days = 0
    redis_memory_gb      = 0
    values_files         = ["no-such-file.yaml"]
  }

  expect_failures = [
    var.name, var.project, var.region, var.network_cidrs, var.api_allowed_cidrs, var.release_channel, var.control_nodes, var.worker_nodes,
    var.kms_key, var.postgres_tier, var.postgres_disk_gb, var.postgres_backup_days, var.redis_memory_gb, var.values_files,
  ]
}
