# Two machines in two zones that write the same before a commit returns, so a failover loses none.

resource "random_password" "postgres" {
  length  = 48
  special = false
}

# A deleted instance's name is taken for a week.
resource "random_id" "postgres" {
  byte_length = 4
}

resource "google_sql_database_instance" "postgres" {
  name                = "${var.name}-${random_id.postgres.hex}"
  region              = var.region
  database_version    = "POSTGRES_${var.postgres_version}"
  encryption_key_name = var.kms_key
  deletion_protection = var.deletion_protection

  settings {
    edition                     = "ENTERPRISE"
    tier                        = var.postgres_tier
    availability_type           = "REGIONAL"
    deletion_protection_enabled = var.deletion_protection
    retain_backups_on_delete    = true

    disk_type             = "PD_SSD"
    disk_size             = var.postgres_disk_gb.initial
    disk_autoresize       = true
    disk_autoresize_limit = var.postgres_disk_gb.max

    ip_configuration {
      ipv4_enabled    = false
      private_network = google_compute_network.main.id
      ssl_mode        = "ENCRYPTED_ONLY"
    }

    backup_configuration {
      enabled                        = true
      point_in_time_recovery_enabled = true
      transaction_log_retention_days = min(var.postgres_backup_days, 7)
      backup_retention_settings {
        retained_backups = var.postgres_backup_days
        retention_unit   = "COUNT"
      }
    }

    final_backup_config {
      enabled        = true
      retention_days = 30
    }
  }

  # It grows by itself.
  lifecycle {
    ignore_changes = [settings[0].disk_size]
  }

  depends_on = [google_service_networking_connection.stores]
}

resource "google_sql_database" "taskyard" {
  name     = "taskyard"
  instance = google_sql_database_instance.postgres.name
  # The user owns what is in it, and goes with the instance.
  deletion_policy = "ABANDON"
}

resource "google_sql_user" "taskyard" {
  name            = "taskyard"
  instance        = google_sql_database_instance.postgres.name
  password        = random_password.postgres.result
  deletion_policy = "ABANDON"
}
