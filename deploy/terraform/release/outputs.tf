output "namespace" {
  description = "The namespace that Taskyard runs in."
  value       = kubernetes_namespace_v1.taskyard.metadata[0].name
}
