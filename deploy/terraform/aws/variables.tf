variable "name" {
  description = "Name of the cluster and the stores, and what other names begin with."
  type        = string
  default     = "taskyard"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,18}[a-z0-9])?$", var.name)) && !strcontains(var.name, "--")
    error_message = "Up to 20 lower-case letters, digits and single dashes, beginning with a letter and not ending with a dash."
  }
}

variable "region" {
  description = "AWS region, e.g. `eu-central-1`. It must have three availability zones."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2}-[a-z]+-[0-9]$", var.region))
    error_message = "A commercial region's name, like eu-central-1."
  }
}

variable "tags" {
  description = "Tags for everything."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "vpc_cidr" {
  description = "Addresses of the VPC. Each of three zones gets a quarter of it for nodes and pods; the last quarter is for load balancers and stores."
  type        = string
  default     = "10.20.0.0/16"
  nullable    = false

  validation {
    condition     = can(cidrhost(var.vpc_cidr, 0)) && contains(range(16, 21), tonumber(split("/", var.vpc_cidr)[1]))
    error_message = "An IPv4 range between /16 and /20."
  }
}

variable "single_nat_gateway" {
  description = "One NAT gateway for all zones: cheaper, and image pulls stop everywhere when its zone fails."
  type        = bool
  default     = false
  nullable    = false
}

variable "api_allowed_cidrs" {
  description = "Who may call the Kubernetes API from outside the VPC. Empty: nobody, and Terraform must run inside."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for cidr in var.api_allowed_cidrs : can(cidrhost(cidr, 0)) && !endswith(cidr, "/0")])
    error_message = "IPv4 ranges, and not the whole Internet."
  }
}

variable "kubernetes_version" {
  description = "Minor version of Kubernetes. EKS charges more for those past standard support."
  type        = string
  default     = "1.35"
  nullable    = false

  validation {
    condition     = can(regex("^1\\.[3-9][0-9]$", var.kubernetes_version))
    error_message = "The chart needs 1.30 or newer, written like 1.35."
  }
}

variable "control_nodes" {
  description = "Nodes of schedulers, dispatchers, etcd and add-ons: instance type and how many, at least one for each zone."
  type = object({
    instance_type = optional(string, "m7i.large")
    count         = optional(number, 3)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.control_nodes.count >= 3 && floor(var.control_nodes.count) == var.control_nodes.count
    error_message = "Three or more, so that no zone holds two members of etcd."
  }
}

variable "worker_nodes" {
  description = "Nodes of workers: instance type, fewest, most, and `ON_DEMAND` or `SPOT`. Nothing here adds nodes by itself; an autoscaler that you install may, up to the most."
  type = object({
    instance_type = optional(string, "m7i.large")
    min           = optional(number, 2)
    max           = optional(number, 10)
    capacity_type = optional(string, "ON_DEMAND")
  })
  default  = {}
  nullable = false

  validation {
    condition     = 0 <= var.worker_nodes.min && max(var.worker_nodes.min, 1) <= var.worker_nodes.max
    error_message = "min must not be above max, and max not below 1."
  }

  validation {
    condition     = contains(["ON_DEMAND", "SPOT"], var.worker_nodes.capacity_type)
    error_message = "capacity_type is ON_DEMAND or SPOT."
  }
}

variable "node_ami_type" {
  description = "Kind of the nodes' images; must fit the instance types' architecture, and so must your container images."
  type        = string
  default     = "AL2023_x86_64_STANDARD"
  nullable    = false

  validation {
    condition     = contains(["AL2023_x86_64_STANDARD", "AL2023_ARM_64_STANDARD"], var.node_ami_type)
    error_message = "AL2023_x86_64_STANDARD or AL2023_ARM_64_STANDARD."
  }
}

variable "node_disk_gib" {
  description = "Size of each node's disk, GiB."
  type        = number
  default     = 50
  nullable    = false

  validation {
    condition     = var.node_disk_gib >= 20
    error_message = "At least 20: the system and the images of some workers."
  }
}

variable "kms_key_arn" {
  description = "Key for Postgres, its backups, and Redis. Null: the keys that AWS manages."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:aws:kms:[a-z0-9-]+:[0-9]{12}:key/", var.kms_key_arn))
    error_message = "The ARN of a KMS key."
  }
}

variable "deletion_protection" {
  description = "Refuse to delete the cluster and Postgres. Set it to false and apply before you destroy."
  type        = bool
  default     = true
  nullable    = false
}

variable "postgres_version" {
  description = "Major version of Postgres. Taskyard is tested on 18."
  type        = string
  default     = "18"
  nullable    = false

  validation {
    condition     = can(regex("^(1[6-9]|[2-9][0-9])$", var.postgres_version))
    error_message = "A major version, 16 or newer."
  }
}

variable "postgres_instance_class" {
  description = "Instance class of Postgres; primary and standby have the same."
  type        = string
  default     = "db.m7g.large"
  nullable    = false

  validation {
    condition     = startswith(var.postgres_instance_class, "db.")
    error_message = "An RDS class, like db.m7g.large."
  }
}

variable "postgres_storage_gib" {
  description = "Size of Postgres' disk to begin with, and the one that it may grow to by itself, GiB."
  type = object({
    initial = optional(number, 100)
    max     = optional(number, 500)
  })
  default  = {}
  nullable = false

  validation {
    condition     = 20 <= var.postgres_storage_gib.initial && var.postgres_storage_gib.initial < var.postgres_storage_gib.max
    error_message = "initial is 20 or more, and max is more than initial."
  }
}

variable "postgres_backup_days" {
  description = "How many days back Postgres can be restored to, to the second."
  type        = number
  default     = 14
  nullable    = false

  validation {
    condition     = contains(range(1, 36), var.postgres_backup_days)
    error_message = "1 to 35; without backups there is no point-in-time recovery."
  }
}

variable "redis_version" {
  description = "Version of Valkey, `major.minor`."
  type        = string
  default     = "8.1"
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]+\\.[0-9]+$", var.redis_version))
    error_message = "Major and minor, like 8.1."
  }
}

variable "redis_node_type" {
  description = "Node type of Valkey; primary and replica have the same. Its memory holds every queued task's entry, and nothing is evicted."
  type        = string
  default     = "cache.m7g.large"
  nullable    = false

  validation {
    condition     = startswith(var.redis_node_type, "cache.")
    error_message = "An ElastiCache type, like cache.m7g.large."
  }
}

variable "etcd_storage" {
  description = "Size of each etcd member's volume, as Kubernetes writes it."
  type        = string
  default     = "8Gi"
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]+[GT]i$", var.etcd_storage))
    error_message = "Like 8Gi."
  }
}

variable "log_retention_days" {
  description = "How long CloudWatch keeps the logs of the Kubernetes control plane."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731], var.log_retention_days)
    error_message = "One of the numbers of days that CloudWatch knows: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731."
  }
}

variable "namespace" {
  description = "Kubernetes namespace that Taskyard runs in."
  type        = string
  default     = "taskyard"
  nullable    = false
}

variable "chart" {
  description = "The Helm chart: a path, or a reference such as `oci://…`. Null: the one in this checkout."
  type        = string
  default     = null
}

variable "values_files" {
  description = "Paths of more values files for the chart. They win over the values made here, and later ones over earlier ones."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for path in var.values_files : can(yamldecode(file(path)))])
    error_message = "Each must be a file of YAML."
  }
}
