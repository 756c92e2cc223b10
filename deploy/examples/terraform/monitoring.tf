# With `alarms = true`: the alarms, metric filters and dashboard that `python -m tools.deploy up --alarms` creates.
# docs/deploy.md says when each alarm fires, and docs/logs.md has the lines that the filters count.

locals {
  variant_alarms = { # on SageMaker's metrics of the variant; ModelLatency is in microseconds
    errors  = { metric = "Invocation5XXErrors", average = "Average", percentile = null, period = 60, periods = 5, threshold = 0.05, entry = "refusals-429-and-503" }
    latency = { metric = "ModelLatency", average = null, percentile = "p99", period = 300, periods = 3, threshold = 500000, entry = "slow-answers" }
  }
  log_alarms = { # on the sums of the metrics below
    refusals   = { metric = "Refusals", period = 300, threshold = 30, entry = "refusals-429-and-503" }
    lanes-lost = { metric = "LanesLost", period = 600, threshold = 0, entry = "lanes-restart" }
    guard      = { metric = "GuardDisagreements", period = 3600, threshold = 0, entry = "int8-disagrees-with-fp32" }
  }
  log_metrics = {
    refusals   = { metric = "Refusals", pattern = "{ $.message = \"invocation\" && ($.status = 429 || $.status = 503 || $.status = 507) }" }
    lanes-lost = { metric = "LanesLost", pattern = "{ $.logger = \"serve.lanes.supervisor\" && ($.message = \"lane *\" || $.message = \"cannot start lane *\") }" }
    guard      = { metric = "GuardDisagreements", pattern = "{ $.logger = \"serve.qa.guard\" && $.level = \"WARNING\" }" }
    log-errors = { metric = "LogErrors", pattern = "{ $.level = \"ERROR\" }" }
  }
  alarm_actions = var.alarm_topic == "" ? [] : [var.alarm_topic]
}

resource "aws_cloudwatch_metric_alarm" "variant" {
  for_each            = { for name, alarm in local.variant_alarms : name => alarm if var.alarms }
  alarm_name          = "${var.name}-${local.variant}-${each.key}"
  alarm_description   = "docs/runbook.md#${each.value.entry}"
  namespace           = "AWS/SageMaker"
  metric_name         = each.value.metric
  dimensions          = { EndpointName = var.name, VariantName = local.variant }
  statistic           = each.value.average
  extended_statistic  = each.value.percentile
  period              = each.value.period
  evaluation_periods  = each.value.periods
  datapoints_to_alarm = 3
  threshold           = each.value.threshold
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions
  tags                = var.tags
}

resource "aws_cloudwatch_metric_alarm" "log" {
  for_each            = { for name, alarm in local.log_alarms : name => alarm if var.alarms }
  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = "docs/runbook.md#${each.value.entry}"
  namespace           = "BertQA/${var.name}"
  metric_name         = each.value.metric
  statistic           = "Sum"
  period              = each.value.period
  evaluation_periods  = 1
  datapoints_to_alarm = 1
  threshold           = each.value.threshold
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions
  tags                = var.tags
}

resource "aws_cloudwatch_log_metric_filter" "log" {
  for_each = { for name, one in local.log_metrics : name => one if var.alarms }
  name     = "${var.name}-${each.key}"
  pattern  = each.value.pattern
  # The filters come after the endpoint, because its container makes the log group.
  log_group_name = "/aws/sagemaker/Endpoints/${aws_sagemaker_endpoint.endpoint.name}"
  metric_transformation {
    name          = each.value.metric
    namespace     = "BertQA/${var.name}"
    value         = "1"
    default_value = 0
    unit          = "Count"
  }
}

resource "aws_cloudwatch_dashboard" "dashboard" {
  count          = var.alarms ? 1 : 0
  dashboard_name = "${var.name}-dashboard-${data.aws_region.current.region}"
  dashboard_body = templatefile("${path.module}/dashboard.json.tftpl", {
    name   = var.name
    region = data.aws_region.current.region
    alarms = "arn:${data.aws_partition.current.partition}:cloudwatch:${local.account}:alarm"
  })
}
