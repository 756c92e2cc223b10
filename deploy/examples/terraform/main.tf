# A Terraform module with the same endpoint that `python -m tools.deploy up` creates: the role, the model, the
# configuration, the endpoint, and if they are wanted the scaling and the alarm. With `alarms = true`, it also creates
# alarms, metric filters and a dashboard (monitoring.tf).
#
# This module was never applied, neither to the real AWS nor to an imitation of it. A test parses it and compares its
# arguments with the documentation of Terraform's provider. Read the output of `terraform plan` before you apply it.
#
# First upload the artifact and push the image, as the comment at the top of deploy/cloudformation.yaml shows. Then write
# a file main.tf in the root of this repository:
#
#   provider "aws" {
#     region = "eu-west-1"
#   }
#
#   module "bert_qa" {
#     source       = "./deploy/examples/terraform"
#     model_bucket = "BUCKET"
#     model_key    = "bert-qa/HASH/model.tar.gz"  # HASH is the first part of KEY in that comment
#     image_uri    = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/bert-qa:0.1.0"
#   }
#
# And in the same folder:
#
#   terraform init && terraform plan -out=bert-qa.plan
#   terraform apply bert-qa.plan
#   terraform destroy             # keeps the bucket, the repository and the logs
#
# The provider cannot do three things that the tool does. It has no argument for detailed observability, which AWS turns
# on by default and bills by the GB. It has none for instance pools. And an update of an endpoint that scales starts with
# `instances` again, because the provider does not ask AWS to keep the present number.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  variant = "AllTraffic"
  prefix  = "${split("/", var.model_key)[0]}/"
  bucket  = "arn:${data.aws_partition.current.partition}:s3:::${var.model_bucket}"
  # The account, the region and the repository of the image.
  image      = regex("^([0-9]{12})\\.dkr\\.ecr\\.([a-z0-9-]+)\\.[a-z.]+/([^:@]+)", var.image_uri)
  repository = "arn:${data.aws_partition.current.partition}:ecr:${local.image[1]}:${local.image[0]}:repository/${local.image[2]}"
  account    = "${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}"
  logs       = "arn:${data.aws_partition.current.partition}:logs:${local.account}:log-group:/aws/sagemaker/*"
  alarm_name = "${var.name}-${local.variant}-5xx"
  alarm      = "arn:${data.aws_partition.current.partition}:cloudwatch:${local.account}:alarm:${local.alarm_name}"
  scales     = var.max_instances > 1
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["sagemaker.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.current.account_id]
    }
  }
}

data "aws_iam_policy_document" "execution" {
  statement {
    actions   = ["s3:GetObject"]
    resources = ["${local.bucket}/${local.prefix}*"]
  }
  statement {
    actions   = ["s3:ListBucket"]
    resources = [local.bucket]
    condition {
      test     = "StringLike"
      variable = "s3:prefix"
      values   = ["${local.prefix}*"]
    }
  }
  statement {
    actions   = ["ecr:GetAuthorizationToken"]
    resources = ["*"] # IAM accepts no narrower resource for this action.
  }
  statement {
    actions   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    resources = [local.repository]
  }
  statement {
    actions   = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
    resources = [local.logs]
  }
  statement {
    actions   = ["logs:DescribeLogStreams"]
    resources = [local.logs]
  }
  statement {
    actions   = ["cloudwatch:PutMetricData"]
    resources = ["*"] # IAM accepts no narrower resource for this action.
    condition {
      test     = "StringLike"
      variable = "cloudwatch:namespace"
      values   = ["*SageMaker*", "*sagemaker*"]
    }
  }
  dynamic "statement" {
    for_each = var.rollback_alarm ? [local.alarm] : []
    content { # SageMaker uses this role to watch the alarm during an update.
      actions   = ["cloudwatch:DescribeAlarms"]
      resources = [statement.value]
    }
  }
}

resource "aws_iam_role" "execution" {
  name_prefix        = "${var.name}-"
  assume_role_policy = data.aws_iam_policy_document.trust.json
  tags               = var.tags
}

resource "aws_iam_role_policy" "execution" {
  name   = "least-privilege"
  role   = aws_iam_role.execution.id
  policy = data.aws_iam_policy_document.execution.json
}

# AWS cannot change a model or an endpoint configuration. Without fixed names, an update creates new ones first.
resource "aws_sagemaker_model" "model" {
  execution_role_arn       = aws_iam_role.execution.arn
  enable_network_isolation = true
  tags                     = var.tags
  primary_container {
    image          = var.image_uri
    model_data_url = "s3://${var.model_bucket}/${var.model_key}"
    environment    = { PRECISIONS = var.precisions } # docs/settings.md lists all settings of the container.
  }
  lifecycle {
    create_before_destroy = true
  }
  depends_on = [aws_iam_role_policy.execution]
}

resource "aws_sagemaker_endpoint_configuration" "configuration" {
  tags = var.tags
  production_variants {
    variant_name                                      = local.variant
    model_name                                        = aws_sagemaker_model.model.name
    initial_variant_weight                            = 1
    instance_type                                     = var.instance_type
    initial_instance_count                            = var.instances
    container_startup_health_check_timeout_in_seconds = var.startup_seconds
    routing_config {
      # Requests differ in length: an instance that is chosen at random may have the longest queue.
      routing_strategy = "LEAST_OUTSTANDING_REQUESTS"
    }
  }
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_sagemaker_endpoint" "endpoint" {
  name                 = var.name
  endpoint_config_name = aws_sagemaker_endpoint_configuration.configuration.name
  tags                 = var.tags
  dynamic "deployment_config" {
    for_each = aws_cloudwatch_metric_alarm.rollback[*].alarm_name
    content {
      blue_green_update_policy {
        termination_wait_in_seconds = 300
        traffic_routing_configuration {
          type                     = var.instances > 1 ? "CANARY" : "ALL_AT_ONCE"
          wait_interval_in_seconds = var.instances > 1 ? 300 : 0
          dynamic "canary_size" {
            for_each = var.instances > 1 ? [10] : [] # A single instance has no tenth.
            content {
              type  = "CAPACITY_PERCENT"
              value = canary_size.value
            }
          }
        }
      }
      auto_rollback_configuration {
        alarms {
          alarm_name = deployment_config.value
        }
      }
    }
  }
}

# More than 5 % of 5xx answers of the new instances in two of three minutes roll back an update that is in progress.
resource "aws_cloudwatch_metric_alarm" "rollback" {
  count       = var.rollback_alarm ? 1 : 0
  alarm_name  = local.alarm_name
  namespace   = "AWS/SageMaker"
  metric_name = "Invocation5XXErrors"
  dimensions = {
    EndpointName       = var.name
    VariantName        = local.variant
    EndpointConfigName = aws_sagemaker_endpoint_configuration.configuration.name # keeps the old instances out
  }
  statistic           = "Average"
  period              = 60
  evaluation_periods  = 3
  datapoints_to_alarm = 2
  threshold           = 0.05
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  tags                = var.tags
}

resource "aws_appautoscaling_target" "variant" {
  count              = local.scales ? 1 : 0
  service_namespace  = "sagemaker"
  scalable_dimension = "sagemaker:variant:DesiredInstanceCount"
  resource_id        = "endpoint/${aws_sagemaker_endpoint.endpoint.name}/variant/${local.variant}"
  min_capacity       = var.instances
  max_capacity       = var.max_instances
  tags               = var.tags
}

resource "aws_appautoscaling_policy" "variant" {
  count              = local.scales ? 1 : 0
  name               = var.name
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.variant[0].service_namespace
  scalable_dimension = aws_appautoscaling_target.variant[0].scalable_dimension
  resource_id        = aws_appautoscaling_target.variant[0].resource_id
  target_tracking_scaling_policy_configuration {
    target_value = var.scale_target
    predefined_metric_specification {
      predefined_metric_type = "SageMakerVariantInvocationsPerInstance"
    }
  }
}
