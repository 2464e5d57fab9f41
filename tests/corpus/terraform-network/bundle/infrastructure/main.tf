module "zone" {
  source  = "./modules/zone"
  count   = var.environment.inputs.zones
  subnets = var.environment.inputs.subnets
}

resource "aws_vpc" "this" {
  cidr_block = "10.0.0.0/16"
  tags       = merge(var.proton_tags, { Name = "${var.environment.name}" })
}
