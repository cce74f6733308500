provider "aws" {
  region = var.region
  default_tags {
    tags = merge({ Name = var.name }, var.tags)
  }
}

locals {
  # A token for each run; none is stored.
  cluster_login = {
    api_version = "client.authentication.k8s.io/v1beta1"
    command     = "aws"
    args        = ["eks", "get-token", "--cluster-name", aws_eks_cluster.main.name, "--region", var.region]
  }
  cluster_ca = base64decode(aws_eks_cluster.main.certificate_authority[0].data)
}

provider "kubernetes" {
  host                   = aws_eks_cluster.main.endpoint
  cluster_ca_certificate = local.cluster_ca
  exec {
    api_version = local.cluster_login.api_version
    command     = local.cluster_login.command
    args        = local.cluster_login.args
  }
}

provider "helm" {
  kubernetes = {
    host                   = aws_eks_cluster.main.endpoint
    cluster_ca_certificate = local.cluster_ca
    exec                   = local.cluster_login
  }
}
