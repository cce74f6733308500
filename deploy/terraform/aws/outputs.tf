output "cluster_name" {
  description = "Name of the EKS cluster."
  value       = aws_eks_cluster.main.name
}

output "kubectl" {
  description = "The command that lets kubectl in."
  value       = "aws eks update-kubeconfig --region ${var.region} --name ${aws_eks_cluster.main.name}"
}

output "namespace" {
  description = "Kubernetes namespace of Taskyard."
  value       = module.release.namespace
}

output "oidc_provider_arn" {
  description = "The cluster's identity provider, for roles of your workers' service accounts."
  value       = aws_iam_openid_connect_provider.cluster.arn
}

output "vpc_id" {
  description = "The VPC."
  value       = aws_vpc.main.id
}

output "postgres_endpoint" {
  description = "Host and port of Postgres, in reach of control nodes only."
  value       = aws_db_instance.postgres.endpoint
}

output "redis_endpoint" {
  description = "Host of Valkey's primary, in reach of control nodes only."
  value       = aws_elasticache_replication_group.redis.primary_endpoint_address
}

output "nat_addresses" {
  description = "Addresses that nodes have to the outside, for other people's lists of who may come in."
  value       = [for address in aws_eip.nat : address.public_ip]
}
