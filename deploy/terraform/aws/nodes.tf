# Two groups: one may reach the stores, the other runs code that tasks call, and may not.

locals {
  worker_nodes = { label = "taskyard.io/pool", value = "workers" }

  cluster_security_group = aws_eks_cluster.main.vpc_config[0].cluster_security_group_id
}

resource "aws_iam_role" "nodes" {
  name               = "${var.name}-nodes"
  assume_role_policy = data.aws_iam_policy_document.service["ec2"].json
}

resource "aws_iam_role_policy_attachment" "nodes" {
  for_each = toset(["AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly"])

  role       = aws_iam_role.nodes.name
  policy_arn = "arn:aws:iam::aws:policy/${each.key}"
}

# Has no rules: the stores let in who bears it.
resource "aws_security_group" "control_nodes" {
  name        = "${var.name}-control-nodes"
  description = "Nodes of schedulers and dispatchers"
  vpc_id      = aws_vpc.main.id
  tags        = { Name = "${var.name}-control-nodes" }
}

resource "aws_launch_template" "nodes" {
  for_each = {
    control = [local.cluster_security_group, aws_security_group.control_nodes.id]
    workers = [local.cluster_security_group]
  }

  name                   = "${var.name}-${each.key}"
  update_default_version = true
  vpc_security_group_ids = each.value

  block_device_mappings {
    device_name = "/dev/xvda"
    ebs {
      encrypted             = true
      volume_type           = "gp3"
      volume_size           = var.node_disk_gib
      delete_on_termination = true
    }
  }

  # One hop: pods do not get the node's role.
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  tag_specifications {
    resource_type = "instance"
    tags          = merge(var.tags, { Name = "${var.name}-${each.key}" })
  }
}

resource "aws_eks_node_group" "control" {
  cluster_name    = aws_eks_cluster.main.name
  node_group_name = "control"
  node_role_arn   = aws_iam_role.nodes.arn
  subnet_ids      = values(aws_subnet.nodes)[*].id
  ami_type        = var.node_ami_type
  instance_types  = [var.control_nodes.instance_type]

  launch_template {
    id      = aws_launch_template.nodes["control"].id
    version = aws_launch_template.nodes["control"].latest_version
  }

  scaling_config {
    min_size     = var.control_nodes.count
    max_size     = var.control_nodes.count + 1
    desired_size = var.control_nodes.count
  }

  # One at a time: etcd has three members and can miss one.
  update_config {
    max_unavailable = 1
  }

  # Nodes need a way out to start, and pods to clean up after themselves at the end.
  depends_on = [
    aws_iam_role_policy_attachment.nodes,
    aws_eks_addon.vpc_cni,
    aws_eks_addon.kube_proxy,
    aws_route.nat,
    aws_route.internet,
    aws_route_table_association.nodes,
    aws_route_table_association.public,
  ]
}

resource "aws_eks_node_group" "workers" {
  cluster_name    = aws_eks_cluster.main.name
  node_group_name = "workers"
  node_role_arn   = aws_iam_role.nodes.arn
  subnet_ids      = values(aws_subnet.nodes)[*].id
  ami_type        = var.node_ami_type
  instance_types  = [var.worker_nodes.instance_type]
  capacity_type   = var.worker_nodes.capacity_type
  labels          = { (local.worker_nodes.label) = local.worker_nodes.value }

  taint {
    key    = local.worker_nodes.label
    value  = local.worker_nodes.value
    effect = "NO_SCHEDULE"
  }

  launch_template {
    id      = aws_launch_template.nodes["workers"].id
    version = aws_launch_template.nodes["workers"].latest_version
  }

  scaling_config {
    min_size     = var.worker_nodes.min
    max_size     = var.worker_nodes.max
    desired_size = var.worker_nodes.min
  }

  update_config {
    max_unavailable_percentage = 25
  }

  # From then on it is the autoscaler's.
  lifecycle {
    ignore_changes = [scaling_config[0].desired_size]
  }

  depends_on = [
    aws_iam_role_policy_attachment.nodes,
    aws_eks_addon.vpc_cni,
    aws_eks_addon.kube_proxy,
    aws_route.nat,
    aws_route.internet,
    aws_route_table_association.nodes,
    aws_route_table_association.public,
  ]
}
