variable "name" {
  description = "Name of the cluster and the stores, and what other names begin with."
  type        = string
  default     = "taskyard"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,18}[a-z0-9])?$", var.name))
    error_message = "Up to 20 lower-case letters, digits and dashes, beginning with a letter and not ending with a dash."
  }
}

variable "project" {
  description = "Id of the Google Cloud project."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "A project's id, not its name or number."
  }
}

variable "region" {
  description = "Region, e.g. `europe-west1`."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "A region, like europe-west1, not a zone."
  }
}

variable "labels" {
  description = "Labels for everything."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "network_cidrs" {
  description = "Addresses of nodes, pods, Kubernetes Services, and of the managed stores. None may overlap another, or a network that you peer with."
  type = object({
    nodes    = optional(string, "10.20.0.0/20")
    pods     = optional(string, "10.24.0.0/14")
    services = optional(string, "10.20.16.0/20")
    stores   = optional(string, "10.20.32.0/20")
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for cidr in values(var.network_cidrs) : can(cidrhost(cidr, 0))])
    error_message = "Each is an IPv4 range."
  }
}

variable "api_allowed_cidrs" {
  description = "Who may call the Kubernetes API from outside the network. Empty: nobody, and Terraform must run inside."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for cidr in var.api_allowed_cidrs : can(cidrhost(cidr, 0)) && !endswith(cidr, "/0")])
    error_message = "IPv4 ranges, and not the whole Internet."
  }
}

variable "release_channel" {
  description = "Channel by which Google upgrades Kubernetes: `REGULAR`, `STABLE` or `EXTENDED`."
  type        = string
  default     = "REGULAR"
  nullable    = false

  validation {
    condition     = contains(["REGULAR", "STABLE", "EXTENDED"], var.release_channel)
    error_message = "REGULAR, STABLE or EXTENDED."
  }
}

variable "control_nodes" {
  description = "Nodes of schedulers, dispatchers, etcd and add-ons: machine type, of a series that takes persistent disks, fewest and most in all zones together."
  type = object({
    machine_type = optional(string, "e2-standard-2")
    min          = optional(number, 3)
    max          = optional(number, 6)
  })
  default  = {}
  nullable = false

  validation {
    condition     = 3 <= var.control_nodes.min && var.control_nodes.min <= var.control_nodes.max
    error_message = "min is 3 or more, so that each member of etcd has a node of its own, and max not below it."
  }
}

variable "worker_nodes" {
  description = "Nodes of workers: machine type, of a series that takes persistent disks, fewest and most in all zones together, and whether Google may take them away at any time (`spot`)."
  type = object({
    machine_type = optional(string, "e2-standard-2")
    min          = optional(number, 0)
    max          = optional(number, 10)
    spot         = optional(bool, false)
  })
  default  = {}
  nullable = false

  validation {
    condition     = 0 <= var.worker_nodes.min && max(var.worker_nodes.min, 1) <= var.worker_nodes.max
    error_message = "min must not be above max, and max not below 1."
  }
}

variable "node_disk_gb" {
  description = "Size of each node's disk, GB."
  type        = number
  default     = 50
  nullable    = false

  validation {
    condition     = var.node_disk_gb >= 20
    error_message = "At least 20: the system and the images of some workers."
  }
}

variable "kms_key" {
  description = "Key for Postgres and Redis, `projects/…/cryptoKeys/…` in the same region; their service agents must be allowed to use it. Null: the keys that Google manages."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key == null || can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", var.kms_key))
    error_message = "The full name of a Cloud KMS key."
  }
}

variable "deletion_protection" {
  description = "Refuse to delete the cluster, Postgres and Redis. Set it to false and apply before you destroy."
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

variable "postgres_tier" {
  description = "Machine of Postgres, `db-custom-<CPUs>-<MiB>`; primary and standby have the same."
  type        = string
  default     = "db-custom-2-8192"
  nullable    = false

  validation {
    condition     = can(regex("^db-custom-[0-9]+-[0-9]+$", var.postgres_tier))
    error_message = "Like db-custom-2-8192. Shared cores have no guarantee."
  }
}

variable "postgres_disk_gb" {
  description = "Size of Postgres' disk to begin with, and the one that it may grow to by itself, GB."
  type = object({
    initial = optional(number, 100)
    max     = optional(number, 500)
  })
  default  = {}
  nullable = false

  validation {
    condition     = 10 <= var.postgres_disk_gb.initial && var.postgres_disk_gb.initial <= var.postgres_disk_gb.max
    error_message = "initial is 10 or more, and max not less than initial."
  }
}

variable "postgres_backup_days" {
  description = "How many daily backups of Postgres are kept. The log, to restore to the second, is kept for a week at most."
  type        = number
  default     = 14
  nullable    = false

  validation {
    condition     = contains(range(1, 366), var.postgres_backup_days)
    error_message = "1 to 365."
  }
}

variable "redis_version" {
  description = "Version of Redis, as Memorystore writes it."
  type        = string
  default     = "REDIS_7_2"
  nullable    = false

  validation {
    condition     = can(regex("^REDIS_[0-9]+_[0-9]+$", var.redis_version))
    error_message = "Like REDIS_7_2."
  }
}

variable "redis_memory_gb" {
  description = "Memory of Redis, GB; primary and replica have the same. It holds every queued task's entry, and nothing is evicted."
  type        = number
  default     = 5
  nullable    = false

  validation {
    condition     = contains(range(1, 301), var.redis_memory_gb)
    error_message = "1 to 300."
  }
}

variable "etcd_storage" {
  description = "Size of each etcd member's volume, as Kubernetes writes it. The disk's speed rises with it."
  type        = string
  default     = "10Gi"
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]+[GT]i$", var.etcd_storage))
    error_message = "Like 10Gi."
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
