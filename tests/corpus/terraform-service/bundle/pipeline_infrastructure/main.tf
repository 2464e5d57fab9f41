output "instances" {
  value = [for each in var.service_instances : each.outputs]
}
