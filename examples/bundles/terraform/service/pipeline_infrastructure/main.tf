# Builds the image when started and rolls it out to every instance. Start it from the repository's own automation, or by hand.

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

locals {
  # Instances that were never deployed have no outputs yet.
  deployed = [for instance in var.service_instances : instance if contains(keys(instance.outputs), "service_name")]

  roll_out = [
    for instance in local.deployed :
    "aws ecs update-service --cluster ${instance.outputs.cluster_name} --service ${instance.outputs.service_name} --force-new-deployment"
  ]
}

resource "aws_ecr_repository" "image" {
  name         = lower(var.service.name)
  force_delete = true

  image_scanning_configuration {
    scan_on_push = true
  }
}

resource "aws_iam_role" "build" {
  name_prefix = "${substr(var.service.name, 0, 30)}-build-"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "codebuild.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "build" {
  name = "build"
  role = aws_iam_role.build.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "ecr:GetAuthorizationToken"]
        Resource = "*"
      },
      {
        Effect = "Allow"
        Action = [
          "ecr:BatchCheckLayerAvailability", "ecr:CompleteLayerUpload", "ecr:InitiateLayerUpload",
          "ecr:PutImage", "ecr:UploadLayerPart",
        ]
        Resource = aws_ecr_repository.image.arn
      },
      {
        Effect = "Allow"
        Action = "ecs:UpdateService"
        # An empty list is no valid policy, so the name of nothing stands in for it.
        Resource = coalescelist(
          [for instance in local.deployed : "arn:aws:ecs:*:*:service/${instance.outputs.cluster_name}/${instance.outputs.service_name}"],
          ["arn:aws:ecs:*:*:service/none/none"],
        )
      },
      {
        Effect   = "Allow"
        Action   = "codestar-connections:UseConnection"
        Resource = var.service.repository_connection_arn
      },
    ]
  })
}

resource "aws_codebuild_project" "image" {
  name         = "${var.service.name}-image"
  service_role = aws_iam_role.build.arn

  artifacts {
    type = "NO_ARTIFACTS"
  }

  environment {
    type            = "LINUX_CONTAINER"
    compute_type    = "BUILD_GENERAL1_SMALL"
    image           = "aws/codebuild/amazonlinux2-x86_64-standard:5.0"
    privileged_mode = true # building an image needs a container engine

    environment_variable {
      name  = "IMAGE"
      value = "${aws_ecr_repository.image.repository_url}:latest"
    }
  }

  source {
    type     = "GITHUB"
    location = "https://github.com/${var.service.repository_id}.git"
    buildspec = yamlencode({
      version = 0.2
      phases = {
        pre_build = {
          commands = ["aws ecr get-login-password | docker login --username AWS --password-stdin \"$${IMAGE%%/*}\""]
        }
        build = {
          commands = ["docker build --file \"${var.pipeline.inputs.dockerfile}\" --tag \"$IMAGE\" .", "docker push \"$IMAGE\""]
        }
        post_build = {
          commands = local.roll_out
        }
      }
    })
  }

  source_version = var.service.branch_name
}

output "project_name" {
  value = aws_codebuild_project.image.name
}

output "repository_url" {
  value = aws_ecr_repository.image.repository_url
}
