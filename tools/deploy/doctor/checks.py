"""All checks of the command doctor, in the order of what they need."""

from collections.abc import Callable

from tools.deploy.deployment import Deployment
from tools.deploy.doctor.finding import Finding
from tools.deploy.doctor.permissions import check_permissions
from tools.deploy.doctor.quotas import check_quotas
from tools.deploy.doctor.unanswered import reason
from tools.deploy.steps.preparation.bucket import bucket_exists
from tools.deploy.steps.preparation.given_resources import GivenResourcesStep
from tools.deploy.steps.preparation.image import ImageStep
from tools.deploy.steps.preparation.image_format import DOCKER_MANIFEST, REMEDY, describe_image
from tools.deploy.steps.preparation.mode import ModeStep
from tools.deploy.steps.preparation.network import NetworkStep
from tools.deploy.steps.serving.endpoint_config import EndpointConfigStep
from tools.deploy.steps.serving.models import ModelsStep
from tools.deploy.values.tables import further_variables, misspelt_settings
from tools.errors import ToolError
from tools.remote.aws import AwsError


def run_checks(deployment: Deployment) -> list[Finding]:
    """Run all checks. A failed check does not stop the others."""
    config = deployment.config
    findings = [
        Finding("credentials", "ok", f"account {deployment.account}, as {deployment.caller_arn}"),
        _attempt("region", lambda: _list_models(deployment)),
        check_permissions(deployment, deployment.caller_arn),
        check_quotas(deployment),
        _attempt("mode and instance type", lambda: ModeStep(deployment).change() or config.mode),
        _attempt("artifact", lambda: f"{deployment.artifact.size_bytes / 1e6:,.0f} MB in {config.model_dir}"),
        _attempt("bucket", lambda: "exists" if bucket_exists(deployment) else "will be created"),
        _attempt("image", lambda: _image(deployment)),
    ]
    if config.vpc:
        text = "the subnets are in two zones, and the security groups in the same VPC"
        findings.append(_attempt("network", lambda: NetworkStep(deployment).change() or text))
    if GivenResourcesStep(deployment).is_needed():
        findings.append(_attempt("given resources", lambda: _given(deployment)))
    if config.overrides:
        findings.append(_attempt("overrides", lambda: _overrides(deployment)))
    if names := further_variables(config.environment):
        text = f"{', '.join(names)}: no settings of the server (docs/settings.md); the container gets them as they are"
        text = "; ".join([text, *misspelt_settings(config.environment)])
        findings.append(Finding("environment", "ok", text))
    return findings


def _given(deployment: Deployment) -> str:
    if unknown := GivenResourcesStep(deployment).unknown():
        raise _Unknown("; ".join(unknown))
    return "what the configuration names exists"


def _overrides(deployment: Deployment) -> str:
    ModelsStep(deployment).change()
    if deployment.config.has_endpoint:
        EndpointConfigStep(deployment).change()
    return "AWS's API has the parameters"


class _Unknown(ToolError):
    """A check could not be made."""


def _attempt(check: str, find: Callable[[], str]) -> Finding:
    try:
        return Finding(check, "ok", find())
    except _Unknown as error:
        return Finding(check, "unknown", str(error))
    except AwsError as error:
        return Finding(check, "fails", f"{error.operation}: {reason(error)}")
    except ToolError as error:
        return Finding(check, "fails", str(error))


def _list_models(deployment: Deployment) -> str:
    deployment.aws.call("sagemaker", "ListModels", MaxResults=1)
    return f"SageMaker answers in {deployment.config.region}"


def _image(deployment: Deployment) -> str:
    """Check the format of the image: in ECR if it is there already, otherwise on this machine."""
    config, step = deployment.config, ImageStep(deployment)
    if config.has_private_registry:
        raise _Unknown(f"{config.image_uri} was not checked, because it is in a private registry")
    change = step.change()
    if change is None and config.image_uri and describe_image(deployment) is None:
        raise _Unknown(
            f"{config.image_uri} was not checked, because you may not ask its registry about it (ecr:DescribeImages)"
        )
    if change is None:
        return f"{deployment.image.uri} is in ECR in docker's format"
    found = deployment.image.engine.media_type(deployment.config.image)
    if found and found != DOCKER_MANIFEST:
        raise ToolError(f"the image {deployment.config.image} has the format {found}. {REMEDY}")
    return f"{change}{'' if found else '; its format is known after the push'}"
