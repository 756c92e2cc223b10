"""An AWS account on localhost for the tests: moto's server, which has AWS's HTTP APIs and keeps state.

moto does not have UpdateEndpoint, StopTransformJob and some of AWS's refusals. This module adds them to moto's server.
"""

import json
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import httpx
import pytest
from moto.applicationautoscaling.exceptions import AWSValidationException as ScalingValidationException
from moto.applicationautoscaling.models import applicationautoscaling_backends
from moto.applicationautoscaling.responses import ApplicationAutoScalingResponse
from moto.cloudwatch.models import CloudWatchBackend
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult, EmptyResult
from moto.logs.metric_filters import MetricFilters
from moto.s3.models import S3Backend
from moto.sagemaker.exceptions import AWSValidationException
from moto.sagemaker.models import FakeEndpointConfig
from moto.sagemaker.responses import SageMakerResponse
from moto.server import ThreadedMotoServer

from tests.aws import refusals
from tests.aws.guide_policy import statements_for
from tests.aws.iam import REGION, refuse_unless_allowed
from tests.aws.recording import Request, watch
from tools.deploy import commands
from tools.deploy.config import DeploymentConfig
from tools.deploy.deployment import Deployment
from tools.remote.aws import Aws
from tools.remote.client import instance_types_of

INSTANCE = "ml.c5.2xlarge"  # moto does not know ml.c6i
BATCH_BUCKETS = ("questions", "answers")  # the user's own, for the files of a batch job
BATCH = {"mode": "batch", "batch_input": "s3://questions/x", "batch_output": "s3://answers/y"}
SCALED = {"max_instances": 3, "scale_target": 700, "rollback_alarm": True}
_REGISTER = ApplicationAutoScalingResponse.register_scalable_target
_CREATE_MODEL = SageMakerResponse.create_model
_DELETE_BUCKET = S3Backend.delete_bucket
_CHECK_VARIANTS = FakeEndpointConfig.validate_production_variants
_PUT_DASHBOARD = CloudWatchResponse.put_dashboard
_TAG_ALARM = CloudWatchResponse.tag_resource
_DELETE_DASHBOARDS = CloudWatchBackend.delete_dashboards
_ADD_FILTER = MetricFilters.add_filter
_DEREGISTER = ApplicationAutoScalingResponse.deregister_scalable_target
# Replaces the command docker. test_container_engine.py pushes with a real engine to a real registry.
_ENGINE = """#!{python}
import os, sys, boto3
if sys.argv[1:3] == ["image", "inspect"]:
    print("sha256:" + "5" * 64)
elif sys.argv[1] == "push":
    repository, tag = sys.argv[2].partition("/")[2].split(":")
    media_type = os.environ.get("ENGINE_FORMAT", "application/vnd.docker.distribution.manifest.v2+json")
    manifest = '{{"schemaVersion": 2, "mediaType": "%s"}}' % media_type
    boto3.client("ecr", "{region}").put_image(repositoryName=repository, imageManifest=manifest, imageTag=tag)
"""


@contextmanager
def running(patch: pytest.MonkeyPatch) -> Iterator[str]:
    """Run moto's server and yield its URL."""
    patch.setattr(SageMakerResponse, "update_endpoint", _update_endpoint, raising=False)
    patch.setattr(SageMakerResponse, "stop_transform_job", _stop_transform_job, raising=False)
    patch.setattr(SageMakerResponse, "create_model", _create_model)
    for name in ("describe_model", "describe_endpoint", "describe_endpoint_config"):
        patch.setattr(SageMakerResponse, name, _without_empty(getattr(SageMakerResponse, name)))
    patch.setattr(ApplicationAutoScalingResponse, "register_scalable_target", _register)
    patch.setattr(ApplicationAutoScalingResponse, "deregister_scalable_target", _deregister)
    patch.setattr(ApplicationAutoScalingResponse, "list_tags_for_resource", _list_target_tags, raising=False)
    patch.setattr(ApplicationAutoScalingResponse, "tag_resource", _tag_target, raising=False)
    patch.setattr(S3Backend, "delete_bucket", _delete_bucket)
    patch.setattr(CloudWatchResponse, "put_dashboard", _put_dashboard)
    patch.setattr(CloudWatchResponse, "tag_resource", _tag_alarm_or_dashboard)
    patch.setattr(CloudWatchBackend, "delete_dashboards", _delete_dashboards)
    patch.setattr(MetricFilters, "add_filter", _replace_filter)
    patch.setattr(FakeEndpointConfig, "validate_production_variants", _check_variants)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def _create_model(self: Any) -> ActionResult:
    """Answer CreateModel. moto forgets whether the container is isolated."""
    result: ActionResult = _CREATE_MODEL(self)
    model = self.sagemaker_backend._models[self._get_param("ModelName")]
    model.enable_network_isolation = bool(self._get_param("EnableNetworkIsolation"))
    return result


def _without_empty(describe: Any) -> Any:
    """Return a method that answers like moto's. Like AWS, it leaves out what the resource does not have."""

    def answer(self: Any) -> ActionResult:
        return ActionResult({key: value for key, value in describe(self).result.items() if value != {}})

    return answer


def _update_endpoint(self: Any) -> ActionResult:
    """Answer UpdateEndpoint. Like AWS, refuse another mode, and refuse to remove or change a variant that scales."""
    asked, backend = json.loads(self.body), self.sagemaker_backend
    endpoint = backend.endpoints[asked["EndpointName"]]
    old, new = (backend.endpoint_configs[n] for n in (endpoint.endpoint_config_name, asked["EndpointConfigName"]))
    if bool(old.async_inference_config) != bool(new.async_inference_config):
        raise AWSValidationException("The AsyncInferenceConfig parameter cannot be removed from this endpoint")
    scaled = applicationautoscaling_backends[backend.account_id][backend.region_name].targets
    names = {resource_id for targets in scaled.values() for resource_id in targets}
    types = {variant["VariantName"]: instance_types_of(variant) for variant in new.production_variants}
    for variant in old.production_variants:
        name = variant["VariantName"]
        scales = f"endpoint/{endpoint.endpoint_name}/variant/{name}" in names
        if scales and types.get(name) != instance_types_of(variant):
            raise AWSValidationException(f"the variant {name} is a target of autoscaling: deregister it first")
    kept = {one["VariantName"]: one for one in endpoint.production_variants}
    endpoint.production_variants = endpoint._process_production_variants(new.production_variants)
    for variant in endpoint.production_variants if asked.get("RetainAllVariantProperties") else ():
        before = kept.get(variant["VariantName"], {})
        excluded = {one["VariantPropertyType"] for one in asked.get("ExcludeRetainedVariantProperties", ())}
        for what, kind in (("InstanceCount", "DesiredInstanceCount"), ("Weight", "DesiredWeight")):
            if kind not in excluded:
                variant.update({key: before[key] for key in (f"Current{what}", f"Desired{what}") if key in before})
    endpoint.endpoint_config_name = new.endpoint_config_name
    return ActionResult({"EndpointArn": endpoint.arn})


def _check_variants(self: Any, production_variants: list[dict[str, Any]] | None) -> None:
    """Check the variants of CreateEndpointConfig, which CloudFormation may leave out. moto knows no instance pools."""
    _CHECK_VARIANTS(self, [variant for variant in production_variants or () if "InstancePools" not in variant])


def _register(self: Any) -> str:
    """Answer RegisterScalableTarget. Like AWS, refuse tags for a target that exists already."""
    targets = self.applicationautoscaling_backend.targets.get(self._get_param("ScalableDimension"), {})
    if self._get_param("ResourceId") in targets and self._get_param("Tags"):
        raise ScalingValidationException("The scalable target that you tried to tag already exists")
    answer = str(_REGISTER(self))
    if tags := self._get_param("Tags"):
        _find_target(self, self._get_param("ResourceId")).tags = dict(tags)
    return answer


def _find_target(self: Any, name_or_arn: str) -> Any:
    targets = self.applicationautoscaling_backend.targets.values()
    return next(one for each in targets for one in each.values() if name_or_arn in (one.resource_id, one.arn))


def _list_target_tags(self: Any) -> str:
    """Answer ListTagsForResource, which moto does not have for scalable targets."""
    return json.dumps({"Tags": getattr(_find_target(self, self._get_param("ResourceARN")), "tags", {})})


def _tag_target(self: Any) -> str:
    """Answer TagResource, which moto does not have for scalable targets."""
    target = _find_target(self, self._get_param("ResourceARN"))
    target.tags = {**getattr(target, "tags", {}), **self._get_param("Tags")}
    return "{}"


def _deregister(self: Any) -> str:
    """Answer DeregisterScalableTarget. Like AWS, delete the scaling policies of the target."""
    policies = self.applicationautoscaling_backend.policies
    for key in [key for key, policy in policies.items() if policy.resource_id == self._get_param("ResourceId")]:
        del policies[key]
    return str(_DEREGISTER(self))


def _delete_bucket(self: S3Backend, bucket_name: str) -> Any:
    """Delete a bucket. Like AWS, forget its tags; moto gives them to the next bucket of this name."""
    deleted = _DELETE_BUCKET(self, bucket_name)
    if deleted:
        self.tagger.delete_all_tags_for_resource(f"arn:aws:s3:::{bucket_name}")
    return deleted


def _put_dashboard(self: Any) -> ActionResult:
    """Answer PutDashboard. Like AWS, keep the tags of a new dashboard, which moto forgets."""
    backend, name = self.cloudwatch_backend, self._get_param("DashboardName")
    is_new = name not in backend.dashboards
    result: ActionResult = _PUT_DASHBOARD(self)
    if is_new:
        backend.tagger.tag_resource(backend.dashboards[name].arn, self._get_param("Tags", []))
    return result


def _tag_alarm_or_dashboard(self: Any) -> ActionResult:
    """Answer TagResource, which moto does not have for dashboards."""
    backend, arn = self.cloudwatch_backend, self._get_param("ResourceARN")
    if arn not in {dashboard.arn for dashboard in backend.dashboards.values()}:
        tagged: ActionResult = _TAG_ALARM(self)
        return tagged
    backend.tagger.tag_resource(arn, self._get_param("Tags", []))
    return EmptyResult()


def _delete_dashboards(self: CloudWatchBackend, dashboards: list[str]) -> str | None:
    """Delete dashboards. Like AWS, forget their tags."""
    for name in dashboards:
        if name in self.dashboards:
            self.tagger.delete_all_tags_for_resource(self.dashboards[name].arn)
    return _DELETE_DASHBOARDS(self, dashboards)


def _replace_filter(self: MetricFilters, filter_name: str, *others: Any, **named: Any) -> None:
    """Add a metric filter. Like AWS, replace the one of the same name, which moto keeps."""
    self.metric_filters = [one for one in self.metric_filters if one["filterName"] != filter_name]
    _ADD_FILTER(self, filter_name, *others, **named)


def _stop_transform_job(self: Any) -> EmptyResult:
    """Answer StopTransformJob: the job stops at once."""
    self.sagemaker_backend.transform_jobs[self._get_param("TransformJobName")].transform_job_status = "Stopped"
    return EmptyResult()


def enter(moto: str, runtime: str, patch: pytest.MonkeyPatch) -> None:
    """Empty the account, and set AWS's environment variables for it.

    Args:
        moto: the URL of moto's server.
        runtime: the URL for InvokeEndpoint, which moto does not answer.
        patch: resets the environment variables after the test.
    """
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        patch.setenv(name, "test")
    patch.setenv("AWS_ENDPOINT_URL", moto)
    patch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", runtime)
    patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    httpx.post(f"{moto}/moto-api/reset").raise_for_status()


def inventory() -> dict[str, list[str]]:
    """List the names of everything in the account, except for the user's own files of a batch job."""

    def client(name: str) -> Any:
        return boto3.client(name, REGION)

    sagemaker, s3 = client("sagemaker"), client("s3")
    buckets = [one["Name"] for one in s3.list_buckets()["Buckets"] if one["Name"] not in BATCH_BUCKETS]
    objects = [one["Key"] for name in buckets for one in s3.list_objects_v2(Bucket=name).get("Contents", [])]
    targets = client("application-autoscaling").describe_scalable_targets(ServiceNamespace="sagemaker")
    return {
        "buckets": buckets,
        "objects": objects,
        "repositories": [one["repositoryName"] for one in client("ecr").describe_repositories()["repositories"]],
        "roles": [one["RoleName"] for one in client("iam").list_roles()["Roles"]],
        "models": [one["ModelName"] for one in sagemaker.list_models()["Models"]],
        "configs": [one["EndpointConfigName"] for one in sagemaker.list_endpoint_configs()["EndpointConfigs"]],
        "endpoints": [one["EndpointName"] for one in sagemaker.list_endpoints()["Endpoints"]],
        "targets": [one["ResourceId"] for one in targets["ScalableTargets"]],
        "alarms": [one["AlarmName"] for one in client("cloudwatch").describe_alarms()["MetricAlarms"]],
        "dashboards": [one["DashboardName"] for one in client("cloudwatch").list_dashboards()["DashboardEntries"]],
        "metric filters": [one["filterName"] for one in client("logs").describe_metric_filters()["metricFilters"]],
    }


def install_engine(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Write a command `engine` that pushes to the account's ECR, and add it to PATH."""
    engine = folder / "engine"
    folder.mkdir()
    engine.write_text(_ENGINE.format(python=sys.executable, region=REGION))
    engine.chmod(engine.stat().st_mode | stat.S_IXUSR)
    patch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def make_deployment(
    artifact: Path, session: boto3.Session | None = None, lines: list[str] | None = None, **values: Any
) -> Deployment:
    """Return a deployment of the artifact into the account. Its lines of progress are added to `lines`.

    The caller has the permissions of the guide, and AWS's refusals are those of refusals.py.
    """
    config = DeploymentConfig(**complete_values(artifact, values))
    report = (lines if lines is not None else []).append
    statements = statements_for(config)

    def see(request: Request) -> None:
        refuse_unless_allowed(statements, request)
        refusals.check(request)

    session = session or boto3.Session(region_name=REGION)
    watched = watch(session, see)
    return Deployment(Aws(REGION, config.overrides, watched), config, report)


def complete_values(artifact: Path, values: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a configuration with those that all tests share. A batch job gets its files."""
    defaults = {"region": REGION, "model_dir": artifact, "engine": "engine", "instance": INSTANCE}
    if "instance_pools" in values or values.get("mode") == "serverless":
        del defaults["instance"]
    if values.get("mode") == "batch":
        s3 = boto3.client("s3", REGION)
        for bucket in BATCH_BUCKETS:
            with suppress(s3.exceptions.BucketAlreadyOwnedByYou):
                s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_object(Bucket="questions", Key="x/1.jsonl", Body=b"{}")
    return {**defaults, **values}


def remove_all(deployment: Deployment) -> None:
    """Remove everything that belongs to the deployment."""
    commands.down(deployment, commands.existing_resources(deployment))


def refusing(operation: str, message: str, times: int, code: str = "ValidationException") -> boto3.Session:
    """Return a session in which AWS refuses the first requests of an operation with this message."""
    session, refused = boto3.Session(region_name=REGION), iter(range(times))

    def answer(**_: Any) -> Any:
        if next(refused, None) is None:
            return None
        return SimpleNamespace(status_code=400), {"Error": {"Code": code, "Message": message}}

    session.events.register(f"before-call.*.{operation}", answer)
    return session


def describe_variants(key: str) -> dict[str, float]:
    """Return one value of each variant of the endpoint, by the variant's name."""
    variants = boto3.client("sagemaker", REGION).describe_endpoint(EndpointName="bert-qa")["ProductionVariants"]
    return {one["VariantName"]: one[key] for one in variants}


class Recorder:
    """A session that keeps the requests that change something."""

    def __init__(self, session: boto3.Session | None = None) -> None:
        self.requests: list[Request] = []
        self.session = watch(session or boto3.Session(region_name=REGION), self.requests.append)

    def sent(self, operation: str) -> list[dict[str, Any]]:
        return [request.parameters for request in self.requests if request.operation == operation]
