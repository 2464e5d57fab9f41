# Services read these as var.environment.outputs; outputs are strings, so lists are joined.

output "vpc_id" {
  value = aws_vpc.main.id
}

output "subnet_ids" {
  value = join(",", [for subnet in aws_subnet.public : subnet.id])
}

output "cluster_name" {
  value = aws_ecs_cluster.main.name
}
