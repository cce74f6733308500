# Terraform stands in for all providers: `terraform test` needs no account and makes nothing.

mock_provider "aws" {
  mock_data "aws_availability_zones" {
    defaults = { names = ["eu-central-1a", "eu-central-1b", "eu-central-1c", "eu-central-1d"] }
  }
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }
  mock_resource "aws_eks_cluster" {
    defaults = {
      endpoint              = "https://api.example.com"
      certificate_authority = [{ data = "Y2E=" }]
      identity              = [{ oidc = [{ issuer = "https://oidc.example.com/id/1" }] }]
    }
  }
  mock_resource "aws_db_instance" {
    defaults = { endpoint = "postgres.example.com:5432" }
  }
}

mock_provider "http" {
  mock_data "http" {
    defaults = { status_code = 200, response_body = "-----BEGIN CERTIFICATE-----" }
  }
}

mock_provider "helm" {}
mock_provider "kubernetes" {}
mock_provider "random" {}

variables {
  region = "eu-central-1"
}

run "as_it_comes" {
  assert {
    condition     = !aws_eks_cluster.main.vpc_config[0].endpoint_public_access && aws_eks_cluster.main.deletion_protection
    error_message = "The API is in reach of the Internet, or the cluster is easily deleted."
  }
  assert {
    condition     = toset(keys(aws_nat_gateway.main)) == toset(["eu-central-1a", "eu-central-1b", "eu-central-1c"])
    error_message = "Not every zone has a way out of its own."
  }
  assert {
    condition = length(distinct(concat(
      values(aws_subnet.public)[*].cidr_block, values(aws_subnet.nodes)[*].cidr_block, values(aws_subnet.stores)[*].cidr_block,
    ))) == 9
    error_message = "Subnets share addresses."
  }
  assert {
    condition     = aws_subnet.nodes["eu-central-1c"].cidr_block == "10.20.128.0/18" && aws_subnet.stores["eu-central-1c"].cidr_block == "10.20.240.0/21"
    error_message = "Subnets lie elsewhere than they should."
  }
  assert {
    condition     = length(aws_launch_template.nodes["control"].vpc_security_group_ids) == 2 && length(aws_launch_template.nodes["workers"].vpc_security_group_ids) == 1
    error_message = "Workers' nodes bear the mark that lets in to the stores, or control nodes do not."
  }
  assert {
    condition     = aws_elasticache_parameter_group.redis.family == "valkey8" && aws_db_parameter_group.postgres.family == "postgres18"
    error_message = "Parameters are of another version than the stores."
  }
  assert {
    condition     = output.namespace == "taskyard"
    error_message = "Taskyard is elsewhere."
  }
}

run "cheaper_and_open_to_an_office" {
  variables {
    single_nat_gateway  = true
    api_allowed_cidrs   = ["203.0.113.0/24"]
    deletion_protection = false
    worker_nodes        = { min = 0, capacity_type = "SPOT" }
    vpc_cidr            = "10.0.0.0/20"
  }

  assert {
    condition     = length(aws_nat_gateway.main) == 1 && length(aws_route.nat) == 3
    error_message = "One gateway must serve all three zones."
  }
  assert {
    condition     = aws_eks_cluster.main.vpc_config[0].public_access_cidrs == toset(["203.0.113.0/24"])
    error_message = "The API is open to others."
  }
  assert {
    condition     = !aws_db_instance.postgres.deletion_protection
    error_message = "It cannot be deleted."
  }
}

run "refuses_what_makes_no_sense" {
  command = plan

  variables {
    name                 = "Taskyard"
    region               = "us-gov-west-1"
    api_allowed_cidrs    = ["0.0.0.0/0"]
    vpc_cidr             = "10.0.0.0/24"
    kubernetes_version   = "1.29"
    control_nodes        = { count = 2 }
    worker_nodes         = { min = 3, max = 2, capacity_type = "CHEAP" }
    node_disk_gib        = 5
    kms_key_arn          = "alias/mine"
    postgres_storage_gib = { initial = 100, max = 100 }
    postgres_backup_days = 0
    log_retention_days   = 31
    values_files         = ["no-such-file.yaml"]
  }

  expect_failures = [
    var.name, var.region, var.api_allowed_cidrs, var.vpc_cidr, var.kubernetes_version, var.control_nodes, var.worker_nodes,
    var.node_disk_gib, var.kms_key_arn, var.postgres_storage_gib, var.postgres_backup_days, var.log_retention_days, var.values_files,
  ]
}
