"""A CDK app with the same endpoint that `python -m tools.deploy up` creates, for users who describe AWS in Python.

First upload the artifact and push the image, as the comment at the top of deploy/cloudformation.yaml shows. You need
Node.js for CDK's command. Then, in this folder:

    python -m venv .venv && .venv/bin/pip install -r requirements.txt
    npx aws-cdk bootstrap          # once for each account and region
    npx aws-cdk deploy -c model_bucket=BUCKET -c model_key=bert-qa/HASH/model.tar.gz -c image_uri=IMAGE
    npx aws-cdk destroy -c model_bucket=BUCKET -c model_key=bert-qa/HASH/model.tar.gz -c image_uri=IMAGE

HASH is the first part of KEY in that comment. Each field of `Settings` can be given in this way. The endpoint gets the
name of the stack. The tests create this stack on moto. Nobody has created it on the real AWS.
"""

from dataclasses import dataclass, fields
from typing import Any

from aws_cdk import App, CfnOutput, DefaultStackSynthesizer, Stack
from aws_cdk import aws_applicationautoscaling as scaling
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct
from monitoring import Monitoring

VARIANT = "AllTraffic"
WATCH_SECONDS = 300  # how long the alarm watches an update before AWS ends the old instances


@dataclass(frozen=True)
class Settings:
    """The values that users choose, with -c NAME=VALUE or in cdk.json. Fields without a default are required."""

    model_bucket: str  # in the region of the stack
    model_key: str  # key of model.tar.gz; a new artifact needs a new key
    image_uri: str  # image in ECR, in the region of the stack; may be of another account
    name: str = "bert-qa"  # name of the stack and of the endpoint
    precisions: str = "auto"  # the container's setting PRECISIONS
    instance_types: str = "ml.c6i.2xlarge"  # one, or up to five that AWS tries in this order
    instances: int = 1  # the minimum if they scale
    max_instances: int = 1  # 1 for no scaling
    scale_target: float = 600  # invocations per minute that each instance should have, if they scale
    startup_seconds: int = 600
    rollback_alarm: bool = False  # roll an update back if too many answers are 5xx
    alarms: bool = False  # alarms on errors, latency, refusals, lost lanes and the guard; a dashboard (monitoring.py)
    alarm_topic: str = ""  # ARN of the SNS topic that the alarms notify

    @classmethod
    def from_context(cls, app: App) -> "Settings":
        """Read the values that the user gave. They are texts if they come from the command line."""
        given = {field.name: app.node.try_get_context(field.name) for field in fields(cls)}
        settings = cls(**{name: value for name, value in given.items() if value is not None})
        numbers = {name: int(getattr(settings, name)) for name in ("instances", "max_instances", "startup_seconds")}
        flags = {name: str(getattr(settings, name)).lower() == "true" for name in ("rollback_alarm", "alarms")}
        return cls(**{**vars(settings), **numbers, **flags, "scale_target": float(settings.scale_target)})

    @property
    def scales(self) -> bool:
        """Whether the number of instances follows the load."""
        return self.max_instances > 1


class EndpointStack(Stack):
    """The role, the model, the configuration, the endpoint, and if they are wanted the scaling and the alarms."""

    def __init__(self, scope: Construct, settings: Settings) -> None:
        # Only the rule in the template is left out, so that the template can also be created without CDK. `cdk deploy`
        # needs a bootstrapped account.
        synthesizer = DefaultStackSynthesizer(generate_bootstrap_version_rule=False)
        super().__init__(scope, settings.name, synthesizer=synthesizer)
        self._settings = settings
        self._alarm_name = f"{settings.name}-{VARIANT}-5xx"
        self._role = self._add_role()
        self._config = self._add_config(self._add_model())
        alarm = self._add_alarm() if settings.rollback_alarm else None
        endpoint = self._add_endpoint(alarm)
        if settings.scales:
            self._add_scaling(endpoint)
        if settings.alarms:
            Monitoring(self, endpoint, VARIANT, settings.alarm_topic)
        CfnOutput(self, "EndpointName", value=endpoint.attr_endpoint_name)

    def _add_role(self) -> iam.CfnRole:
        """Add the role, with only the permissions that the endpoint needs."""
        service = {"Service": "sagemaker.amazonaws.com"}
        own_account = {"StringEquals": {"aws:SourceAccount": self.account}}
        policy = iam.CfnRole.PolicyProperty(policy_name="least-privilege", policy_document=document(self._statements()))
        return iam.CfnRole(
            self,
            "Role",
            assume_role_policy_document=document([allow("sts:AssumeRole", Principal=service, Condition=own_account)]),
            policies=[policy],
        )

    def _statements(self) -> list[dict[str, Any]]:
        bucket = f"arn:{self.partition}:s3:::{self._settings.model_bucket}"
        prefix = self._settings.model_key.split("/")[0] + "/"
        logs = f"arn:{self.partition}:logs:{self.region}:{self.account}:log-group:/aws/sagemaker/*"
        namespaces = {"StringLike": {"cloudwatch:namespace": ["*SageMaker*", "*sagemaker*"]}}
        pull = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
        statements = [
            allow("s3:GetObject", Resource=f"{bucket}/{prefix}*"),
            allow("s3:ListBucket", Resource=bucket, Condition={"StringLike": {"s3:prefix": f"{prefix}*"}}),
            allow("ecr:GetAuthorizationToken", Resource="*"),  # IAM accepts no narrower resource for this action.
            allow(*pull, Resource=self._repository_arn()),
            allow("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", Resource=logs),
            allow("logs:DescribeLogStreams", Resource=logs),
            # IAM accepts no narrower resource for this action.
            allow("cloudwatch:PutMetricData", Resource="*", Condition=namespaces),
        ]
        if self._settings.rollback_alarm:  # SageMaker uses this role to watch the alarm during an update.
            alarm = f"arn:{self.partition}:cloudwatch:{self.region}:{self.account}:alarm:{self._alarm_name}"
            statements.append(allow("cloudwatch:DescribeAlarms", Resource=[alarm]))
        return statements

    def _repository_arn(self) -> str:
        host, _, path = self._settings.image_uri.partition("/")
        account, _, _, region, *_ = host.split(".")
        return f"arn:{self.partition}:ecr:{region}:{account}:repository/{path.split('@')[0].split(':')[0]}"

    def _add_model(self) -> sagemaker.CfnModel:
        """Add the model. Without a fixed name, a change creates a new one: AWS cannot change models."""
        container = sagemaker.CfnModel.ContainerDefinitionProperty(
            image=self._settings.image_uri,
            model_data_url=f"s3://{self._settings.model_bucket}/{self._settings.model_key}",
            environment={"PRECISIONS": self._settings.precisions},  # docs/settings.md lists all settings.
        )
        return sagemaker.CfnModel(
            self,
            "Model",
            execution_role_arn=self._role.attr_arn,
            enable_network_isolation=True,
            primary_container=container,
        )

    def _add_config(self, model: sagemaker.CfnModel) -> sagemaker.CfnEndpointConfig:
        endpoint_config = sagemaker.CfnEndpointConfig
        types = [one.strip() for one in self._settings.instance_types.split(",")]
        pools = [
            endpoint_config.InstancePoolProperty(instance_type=one, priority=priority)
            for priority, one in enumerate(types, 1)
        ]
        variant = endpoint_config.ProductionVariantProperty(
            variant_name=VARIANT,
            model_name=model.attr_model_name,
            initial_variant_weight=1,
            initial_instance_count=self._settings.instances,
            container_startup_health_check_timeout_in_seconds=self._settings.startup_seconds,
            # Requests differ in length: an instance that is chosen at random may have the longest queue.
            routing_config=endpoint_config.RoutingConfigProperty(routing_strategy="LEAST_OUTSTANDING_REQUESTS"),
            **({"instance_pools": pools} if len(types) > 1 else {"instance_type": types[0]}),
        )
        metrics = endpoint_config.MetricsConfigProperty(enable_detailed_observability=False)
        return endpoint_config(self, "EndpointConfig", production_variants=[variant], metrics_config=metrics)

    def _add_alarm(self) -> cloudwatch.CfnAlarm:
        """Add the alarm on more than 5 % of 5xx answers of the new instances in two of three minutes."""
        # The configuration's name keeps the old instances out.
        names = {
            "EndpointName": self._settings.name,
            "VariantName": VARIANT,
            "EndpointConfigName": self._config.attr_endpoint_config_name,
        }
        return cloudwatch.CfnAlarm(
            self,
            "Alarm",
            alarm_name=self._alarm_name,
            namespace="AWS/SageMaker",
            metric_name="Invocation5XXErrors",
            dimensions=[cloudwatch.CfnAlarm.DimensionProperty(name=name, value=value) for name, value in names.items()],
            statistic="Average",
            period=60,
            evaluation_periods=3,
            datapoints_to_alarm=2,
            threshold=0.05,
            comparison_operator="GreaterThanThreshold",
            treat_missing_data="notBreaching",
        )

    def _add_endpoint(self, alarm: cloudwatch.CfnAlarm | None) -> sagemaker.CfnEndpoint:
        kept = sagemaker.CfnEndpoint.VariantPropertyProperty(variant_property_type="DesiredWeight")
        return sagemaker.CfnEndpoint(
            self,
            "Endpoint",
            endpoint_name=self._settings.name,
            endpoint_config_name=self._config.attr_endpoint_config_name,
            retain_all_variant_properties=self._settings.scales,  # An update keeps the number of instances.
            exclude_retained_variant_properties=[kept] if self._settings.scales else None,
            deployment_config=self._update_policy(alarm) if alarm else None,
        )

    def _update_policy(self, alarm: cloudwatch.CfnAlarm) -> sagemaker.CfnEndpoint.DeploymentConfigProperty:
        endpoint = sagemaker.CfnEndpoint
        if self._settings.instances == 1:  # A single instance has no tenth. The old one is kept equally long.
            routing = endpoint.TrafficRoutingConfigProperty(type="ALL_AT_ONCE", wait_interval_in_seconds=0)
        else:
            tenth = endpoint.CapacitySizeProperty(type="CAPACITY_PERCENT", value=10)
            routing = endpoint.TrafficRoutingConfigProperty(
                type="CANARY", wait_interval_in_seconds=WATCH_SECONDS, canary_size=tenth
            )
        return endpoint.DeploymentConfigProperty(
            blue_green_update_policy=endpoint.BlueGreenUpdatePolicyProperty(
                traffic_routing_configuration=routing, termination_wait_in_seconds=WATCH_SECONDS
            ),
            auto_rollback_configuration=endpoint.AutoRollbackConfigProperty(
                alarms=[endpoint.AlarmProperty(alarm_name=alarm.ref)]
            ),
        )

    def _add_scaling(self, endpoint: sagemaker.CfnEndpoint) -> None:
        target = scaling.CfnScalableTarget(
            self,
            "ScalableTarget",
            service_namespace="sagemaker",
            scalable_dimension="sagemaker:variant:DesiredInstanceCount",
            resource_id=f"endpoint/{endpoint.attr_endpoint_name}/variant/{VARIANT}",
            min_capacity=self._settings.instances,
            max_capacity=self._settings.max_instances,
        )
        policy = scaling.CfnScalingPolicy
        metric = policy.PredefinedMetricSpecificationProperty(
            predefined_metric_type="SageMakerVariantInvocationsPerInstance"
        )
        tracking = policy.TargetTrackingScalingPolicyConfigurationProperty(
            target_value=self._settings.scale_target, predefined_metric_specification=metric
        )
        policy(
            self,
            "ScalingPolicy",
            policy_name=self._settings.name,
            policy_type="TargetTrackingScaling",
            scaling_target_id=target.ref,
            target_tracking_scaling_policy_configuration=tracking,
        )


def allow(*actions: str, **rest: Any) -> dict[str, Any]:
    """Return a statement that allows the actions. `rest` holds its Resource, Principal or Condition."""
    return {"Effect": "Allow", "Action": list(actions), **rest}


def document(statements: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a policy document."""
    return {"Version": "2012-10-17", "Statement": statements}


if __name__ == "__main__":
    app = App()
    EndpointStack(app, Settings.from_context(app))
    app.synth()
