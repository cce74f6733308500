# Nodes have no public addresses; the stores' subnets have no way out at all.

data "aws_availability_zones" "available" {
  state = "available"
  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}

locals {
  zones = slice(data.aws_availability_zones.available.names, 0, 3)

  # A quarter for each zone's nodes and pods; the last is cut again, for load balancers and stores.
  node_cidrs   = { for index, zone in local.zones : zone => cidrsubnet(var.vpc_cidr, 2, index) }
  rest         = cidrsubnet(var.vpc_cidr, 2, 3)
  public_cidrs = { for index, zone in local.zones : zone => cidrsubnet(local.rest, 3, index) }
  store_cidrs  = { for index, zone in local.zones : zone => cidrsubnet(local.rest, 3, index + 4) }

  nat_zones = var.single_nat_gateway ? slice(local.zones, 0, 1) : local.zones
}

resource "aws_vpc" "main" {
  cidr_block           = var.vpc_cidr
  enable_dns_support   = true
  enable_dns_hostnames = true
}

# Whatever is made without a security group of its own may talk to nobody.
resource "aws_default_security_group" "closed" {
  vpc_id = aws_vpc.main.id
}

resource "aws_subnet" "public" {
  for_each = local.public_cidrs

  vpc_id            = aws_vpc.main.id
  availability_zone = each.key
  cidr_block        = each.value
  tags              = { Name = "${var.name}-public-${each.key}", "kubernetes.io/role/elb" = "1" }
}

resource "aws_subnet" "nodes" {
  for_each = local.node_cidrs

  vpc_id            = aws_vpc.main.id
  availability_zone = each.key
  cidr_block        = each.value
  tags              = { Name = "${var.name}-nodes-${each.key}", "kubernetes.io/role/internal-elb" = "1" }
}

resource "aws_subnet" "stores" {
  for_each = local.store_cidrs

  vpc_id            = aws_vpc.main.id
  availability_zone = each.key
  cidr_block        = each.value
  tags              = { Name = "${var.name}-stores-${each.key}" }
}

resource "aws_internet_gateway" "main" {
  vpc_id = aws_vpc.main.id
}

resource "aws_eip" "nat" {
  for_each = toset(local.nat_zones)

  domain     = "vpc"
  tags       = { Name = "${var.name}-nat-${each.key}" }
  depends_on = [aws_internet_gateway.main]
}

resource "aws_nat_gateway" "main" {
  for_each = toset(local.nat_zones)

  allocation_id = aws_eip.nat[each.key].id
  subnet_id     = aws_subnet.public[each.key].id
  tags          = { Name = "${var.name}-${each.key}" }
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.main.id
  tags   = { Name = "${var.name}-public" }
}

resource "aws_route" "internet" {
  route_table_id         = aws_route_table.public.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.main.id
}

resource "aws_route_table_association" "public" {
  for_each = aws_subnet.public

  route_table_id = aws_route_table.public.id
  subnet_id      = each.value.id
}

resource "aws_route_table" "nodes" {
  for_each = aws_subnet.nodes

  vpc_id = aws_vpc.main.id
  tags   = { Name = "${var.name}-nodes-${each.key}" }
}

resource "aws_route" "nat" {
  for_each = aws_route_table.nodes

  route_table_id         = each.value.id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.main[var.single_nat_gateway ? local.zones[0] : each.key].id
}

resource "aws_route_table_association" "nodes" {
  for_each = aws_subnet.nodes

  route_table_id = aws_route_table.nodes[each.key].id
  subnet_id      = each.value.id
}

# Of its own, because what has none falls to the VPC's main table, which anybody may add routes to.
resource "aws_route_table" "stores" {
  vpc_id = aws_vpc.main.id
  tags   = { Name = "${var.name}-stores" }
}

resource "aws_route_table_association" "stores" {
  for_each = aws_subnet.stores

  route_table_id = aws_route_table.stores.id
  subnet_id      = each.value.id
}
