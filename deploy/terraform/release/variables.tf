variable "name" {
  description = "Name of the Helm release, and what the names of its Secrets begin with."
  type        = string
  nullable    = false
}

variable "namespace" {
  description = "Kubernetes namespace, made here."
  type        = string
  nullable    = false
}

variable "chart" {
  description = "Path or reference of the Helm chart."
  type        = string
  nullable    = false
}

variable "postgres" {
  description = "Postgres: the whole URL, and the certificate authority that it names as `/etc/taskyard/tls/postgres/ca.crt`."
  type = object({
    url = string
    ca  = string
  })
  nullable  = false
  sensitive = true
}

variable "redis" {
  description = "Redis: the whole URL, and the certificate authority that it names as `/etc/taskyard/tls/redis/ca.crt`; null: the URL names none."
  type = object({
    url = string
    ca  = optional(string)
  })
  nullable  = false
  sensitive = true
}

variable "worker_nodes" {
  description = "Label of the nodes that run workers, which is their taint too."
  type = object({
    label = string
    value = string
  })
  nullable = false
}

variable "etcd_storage_class" {
  description = "Storage class of etcd's volumes."
  type        = string
  nullable    = false
}

variable "etcd_storage" {
  description = "Size of each member's volume."
  type        = string
  nullable    = false
}

variable "values" {
  description = "More values of the chart, each a YAML text; later ones win, and all win over those made here."
  type        = list(string)
  default     = []
  nullable    = false
}
