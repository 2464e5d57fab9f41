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

data "aws_region" "current" {}

locals {
  name   = "${var.service.name}-${var.service_instance.name}"
  inputs = var.service_instance.inputs
}

resource "aws_cloudwatch_log_group" "container" {
  name              = "/containers/${var.environment.name}/${local.name}"
  retention_in_days = 30
}

# Pulls the image and writes the logs, before and beside the container's own work.
resource "aws_iam_role" "execution" {
  name_prefix = "${substr(local.name, 0, 30)}-exec-"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy_attachment" "execution" {
  role       = aws_iam_role.execution.name
  policy_arn = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
}

# Nothing comes in; everything may go out.
resource "aws_security_group" "container" {
  name_prefix = "${local.name}-"
  vpc_id      = var.environment.outputs.vpc_id

  egress {
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_ecs_task_definition" "container" {
  family                   = local.name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = local.inputs.cpu
  memory                   = local.inputs.memory_mb
  execution_role_arn       = aws_iam_role.execution.arn

  container_definitions = jsonencode([{
    name        = "main"
    image       = local.inputs.image
    essential   = true
    environment = [for name, value in local.inputs.settings : { name = name, value = value }]
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        "awslogs-group"         = aws_cloudwatch_log_group.container.name
        "awslogs-region"        = data.aws_region.current.name
        "awslogs-stream-prefix" = "main"
      }
    }
  }])
}

resource "aws_ecs_service" "container" {
  name            = local.name
  cluster         = var.environment.outputs.cluster_name
  task_definition = aws_ecs_task_definition.container.arn
  desired_count   = local.inputs.copies
  launch_type     = "FARGATE"

  network_configuration {
    subnets          = split(",", var.environment.outputs.subnet_ids)
    security_groups  = [aws_security_group.container.id]
    assign_public_ip = true
  }
}

output "cluster_name" {
  value = var.environment.outputs.cluster_name
}

output "service_name" {
  value = aws_ecs_service.container.name
}
