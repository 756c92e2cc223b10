"""The check of AWS's quotas for the instances of the configuration."""

from tools.deploy.config import DeploymentConfig
from tools.deploy.deployment import Deployment
from tools.deploy.doctor.finding import Finding
from tools.deploy.doctor.unanswered import reason
from tools.deploy.steps.serving.update_policy import further_instances
from tools.remote.aws import AwsError


def check_quotas(deployment: Deployment) -> Finding:
    """Compare the account's quota with what the configuration needs, an update included."""
    needed = _needed(deployment.config)
    try:
        listed = deployment.aws.list_all("service-quotas", "ListServiceQuotas", "Quotas", ServiceCode="sagemaker")
        quotas = {quota["QuotaName"]: float(quota["Value"]) for quota in listed if quota["QuotaName"] in needed}
    except AwsError as error:
        return Finding("quotas", "unknown", f"Service Quotas did not say what you have: {reason(error)}")
    for name, number in needed.items():
        if name not in quotas:
            return Finding("quotas", "unknown", f"Service Quotas has no quota with the name {name!r}")
        if quotas[name] < number:
            text = f"{name}: your account has {quotas[name]:g} and needs {number}. Ask for more in Service Quotas"
            return Finding("quotas", "fails", text)
    texts = [f"{name}: {quotas[name]:g}, of which {number} are needed" for name, number in needed.items()]
    return Finding("quotas", "ok", ", ".join(texts))


def _needed(config: DeploymentConfig) -> dict[str, int]:
    """Return what the configuration needs at most, by the name of the quota."""
    if config.mode == "serverless":
        return {"Memory size in MB per serverless endpoint": config.memory_mb}
    if not config.has_endpoint:
        return {f"{config.instance} for transform job usage": config.instances}
    most = max(config.instances, config.max_instances) * len(config.variants)
    # With instance pools, all instances may be of any of the types.
    return {f"{one} for endpoint usage": most + further_instances(config) for one in config.instance_types}
