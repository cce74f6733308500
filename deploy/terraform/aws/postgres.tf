# Two machines in two zones that write the same before a commit returns, so a failover loses none.

resource "random_password" "postgres" {
  length  = 48
  special = false
}

# Tells the last snapshot of this database from that of one before it.
resource "random_id" "postgres" {
  byte_length = 4
}

resource "aws_db_subnet_group" "postgres" {
  name       = "${var.name}-postgres"
  subnet_ids = values(aws_subnet.stores)[*].id
}

resource "aws_security_group" "postgres" {
  name        = "${var.name}-postgres"
  description = "Postgres"
  vpc_id      = aws_vpc.main.id
  tags        = { Name = "${var.name}-postgres" }
}

resource "aws_vpc_security_group_ingress_rule" "postgres" {
  security_group_id            = aws_security_group.postgres.id
  description                  = "Schedulers, dispatchers and migration"
  referenced_security_group_id = aws_security_group.control_nodes.id
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
}

resource "aws_db_parameter_group" "postgres" {
  name_prefix = "${var.name}-postgres-"
  family      = "postgres${var.postgres_version}"

  parameter {
    name  = "rds.force_ssl"
    value = "1"
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_db_instance" "postgres" {
  identifier     = "${var.name}-postgres"
  engine         = "postgres"
  engine_version = var.postgres_version
  instance_class = var.postgres_instance_class

  db_name  = "taskyard"
  username = "taskyard"
  password = random_password.postgres.result
  port     = 5432

  multi_az               = true
  db_subnet_group_name   = aws_db_subnet_group.postgres.name
  vpc_security_group_ids = [aws_security_group.postgres.id]
  publicly_accessible    = false
  parameter_group_name   = aws_db_parameter_group.postgres.name

  storage_type          = "gp3"
  allocated_storage     = var.postgres_storage_gib.initial
  max_allocated_storage = var.postgres_storage_gib.max
  storage_encrypted     = true
  kms_key_id            = var.kms_key_arn

  backup_retention_period   = var.postgres_backup_days
  copy_tags_to_snapshot     = true
  delete_automated_backups  = false
  skip_final_snapshot       = false
  final_snapshot_identifier = "${var.name}-postgres-last-${random_id.postgres.hex}"
  deletion_protection       = var.deletion_protection

  allow_major_version_upgrade     = false
  auto_minor_version_upgrade      = true
  enabled_cloudwatch_logs_exports = ["postgresql"]
}

# Whom clients trust: AWS publishes the authorities of each region.
data "http" "postgres_ca" {
  url = "https://truststore.pki.rds.amazonaws.com/${var.region}/${var.region}-bundle.pem"

  lifecycle {
    postcondition {
      condition     = self.status_code == 200 && strcontains(self.response_body, "BEGIN CERTIFICATE")
      error_message = "AWS has no certificates of RDS for this region."
    }
  }
}
