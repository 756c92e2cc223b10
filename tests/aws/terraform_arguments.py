"""The arguments and attributes of Terraform's resources that the example may use.

This list was written by hand from the documentation of the AWS provider, version 6, read on 2026-11-27. A comment
names the page of each resource in https://github.com/hashicorp/terraform-provider-aws, under website/docs/r; the
pages of data sources are under website/docs/d. A name that ends with ! is required. A nested mapping is a block.
"""

from typing import Any

_CAPACITY = {"type!": None, "value!": None}
_ROUTING = {"type!": None, "wait_interval_in_seconds!": None, "canary_size": _CAPACITY, "linear_step_size": _CAPACITY}
_BLUE_GREEN = {
    "traffic_routing_configuration!": _ROUTING,
    "maximum_execution_timeout_in_seconds": None,
    "termination_wait_in_seconds": None,
}
_VARIANT = {
    "variant_name": None,
    "model_name": None,
    "initial_variant_weight": None,
    "instance_type": None,
    "initial_instance_count": None,
    "container_startup_health_check_timeout_in_seconds": None,
    "model_data_download_timeout_in_seconds": None,
    "volume_size_in_gb": None,
    "routing_config": {"routing_strategy!": None},
}
_TRACKING = {
    "target_value!": None,
    "disable_scale_in": None,
    "scale_in_cooldown": None,
    "scale_out_cooldown": None,
    "predefined_metric_specification": {"predefined_metric_type!": None, "resource_label": None},
}

RESOURCES: dict[str, dict[str, Any]] = {
    # iam_role
    "aws_iam_role": {"assume_role_policy!": None, "name": None, "name_prefix": None, "path": None, "tags": None},
    # iam_role_policy
    "aws_iam_role_policy": {"name": None, "name_prefix": None, "policy!": None, "role!": None},
    # sagemaker_model
    "aws_sagemaker_model": {
        "name": None,
        "execution_role_arn!": None,
        "enable_network_isolation": None,
        "primary_container": {"image": None, "mode": None, "model_data_url": None, "environment": None},
        "vpc_config": {"subnets!": None, "security_group_ids!": None},
        "tags": None,
    },
    # sagemaker_endpoint_configuration
    "aws_sagemaker_endpoint_configuration": {
        "name": None,
        "name_prefix": None,
        "kms_key_arn": None,
        "production_variants!": _VARIANT,
        "tags": None,
    },
    # sagemaker_endpoint
    "aws_sagemaker_endpoint": {
        "name": None,
        "endpoint_config_name!": None,
        "deployment_config": {
            "blue_green_update_policy": _BLUE_GREEN,
            "auto_rollback_configuration": {"alarms!": {"alarm_name!": None}},
        },
        "tags": None,
    },
    # cloudwatch_metric_alarm
    "aws_cloudwatch_metric_alarm": {
        "alarm_name!": None,
        "alarm_description": None,
        "alarm_actions": None,
        "ok_actions": None,
        "comparison_operator!": None,
        "evaluation_periods!": None,
        "metric_name": None,
        "namespace": None,
        "period": None,
        "statistic": None,
        "extended_statistic": None,
        "threshold": None,
        "datapoints_to_alarm": None,
        "dimensions": None,
        "treat_missing_data": None,
        "tags": None,
    },
    # cloudwatch_log_metric_filter
    "aws_cloudwatch_log_metric_filter": {
        "name!": None,
        "pattern!": None,
        "log_group_name!": None,
        "metric_transformation!": {
            "name!": None,
            "namespace!": None,
            "value!": None,
            "default_value": None,
            "dimensions": None,
            "unit": None,
        },
    },
    # cloudwatch_dashboard
    "aws_cloudwatch_dashboard": {"dashboard_name!": None, "dashboard_body!": None},
    # appautoscaling_target
    "aws_appautoscaling_target": {
        "max_capacity!": None,
        "min_capacity!": None,
        "resource_id!": None,
        "scalable_dimension!": None,
        "service_namespace!": None,
        "tags": None,
    },
    # appautoscaling_policy
    "aws_appautoscaling_policy": {
        "name!": None,
        "policy_type": None,
        "resource_id!": None,
        "scalable_dimension!": None,
        "service_namespace!": None,
        "target_tracking_scaling_policy_configuration": _TRACKING,
    },
}
DATA_SOURCES: dict[str, dict[str, Any]] = {
    "aws_caller_identity": {},  # caller_identity
    "aws_partition": {},  # partition
    "aws_region": {"region": None},  # region
    # iam_policy_document
    "aws_iam_policy_document": {
        "statement": {
            "sid": None,
            "effect": None,
            "actions": None,
            "resources": None,
            "principals": {"type!": None, "identifiers!": None},
            "condition": {"test!": None, "variable!": None, "values!": None},
        }
    },
}
# Attributes that a resource has in addition to its arguments.
ATTRIBUTES: dict[str, set[str]] = {
    "aws_iam_role": {"arn", "id"},
    "aws_sagemaker_endpoint": {"arn"},
    "aws_caller_identity": {"account_id"},
    "aws_partition": {"partition"},
    "aws_iam_policy_document": {"json"},
}
# https://developer.hashicorp.com/terraform/language/meta-arguments
META_ARGUMENTS = {"count", "for_each", "depends_on", "lifecycle", "provider"}
