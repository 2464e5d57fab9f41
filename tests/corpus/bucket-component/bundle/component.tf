resource "aws_s3_bucket" "this" {
  bucket_prefix = var.component.name
}

output "bucket" {
  value = aws_s3_bucket.this.id
}
