locals {
  port = var.service_instance.inputs.port
  name = "${var.service.name}-${var.service_instance.name}"
  vpc  = var.environment.outputs.vpc_id
}
