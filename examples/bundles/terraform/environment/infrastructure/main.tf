# The inputs arrive as var.environment.inputs; the variable is declared in a file that is generated beside this one.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

provider "aws" {
  default_tags {
    tags = var.proton_tags
  }
}

data "aws_availability_zones" "available" {
  state = "available"
}

locals {
  zones = slice(data.aws_availability_zones.available.names, 0, var.environment.inputs.zones)
}

resource "aws_vpc" "main" {
  cidr_block           = var.environment.inputs.cidr_block
  enable_dns_hostnames = true

  tags = { Name = var.environment.name }
}

resource "aws_internet_gateway" "main" {
  vpc_id = aws_vpc.main.id
}

# Public subnets only: containers reach the outside without a NAT gateway, and security groups keep the outside away.
resource "aws_subnet" "public" {
  for_each = { for index, zone in local.zones : zone => index }

  vpc_id                  = aws_vpc.main.id
  availability_zone       = each.key
  cidr_block              = cidrsubnet(aws_vpc.main.cidr_block, 4, each.value)
  map_public_ip_on_launch = true

  tags = { Name = "${var.environment.name}-${each.key}" }
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.main.id

  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.main.id
  }
}

resource "aws_route_table_association" "public" {
  for_each = aws_subnet.public

  subnet_id      = each.value.id
  route_table_id = aws_route_table.public.id
}

resource "aws_ecs_cluster" "main" {
  name = var.environment.name

  setting {
    name  = "containerInsights"
    value = var.environment.inputs.container_insights ? "enabled" : "disabled"
  }
}
