output "endpoint_name" {
  value       = aws_sagemaker_endpoint.endpoint.name
  description = "name of the endpoint, for InvokeEndpoint"
}

output "endpoint_arn" {
  value       = aws_sagemaker_endpoint.endpoint.arn
  description = "ARN of the endpoint, for policies that allow InvokeEndpoint"
}

output "role_arn" {
  value       = aws_iam_role.execution.arn
  description = "ARN of the role of the endpoint"
}
