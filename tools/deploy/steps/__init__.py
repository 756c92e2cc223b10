"""The steps of a deployment, and the order in which `up` runs them."""

from tools.deploy.deployment import Deployment
from tools.deploy.steps.monitoring.monitoring import MonitoringStep
from tools.deploy.steps.outdated_resources import OutdatedResourcesStep
from tools.deploy.steps.preparation.artifact import ArtifactStep
from tools.deploy.steps.preparation.bucket import BucketStep
from tools.deploy.steps.preparation.given_resources import GivenResourcesStep
from tools.deploy.steps.preparation.image import ImageStep
from tools.deploy.steps.preparation.mode import ModeStep
from tools.deploy.steps.preparation.network import NetworkStep
from tools.deploy.steps.preparation.repository import RepositoryStep
from tools.deploy.steps.preparation.role import RoleStep
from tools.deploy.steps.serving.batch_transform import BatchTransformStep
from tools.deploy.steps.serving.capacity import CapacityStep
from tools.deploy.steps.serving.endpoint import EndpointStep
from tools.deploy.steps.serving.endpoint_config import EndpointConfigStep
from tools.deploy.steps.serving.first_question import FirstQuestionStep
from tools.deploy.steps.serving.models import ModelsStep
from tools.deploy.steps.serving.rollback_alarm import RollbackAlarmStep
from tools.deploy.steps.serving.scaling import ScalingStep
from tools.deploy.steps.step import Step
from tools.deploy.steps.tags import TagsStep


def all_steps(deployment: Deployment) -> list[Step]:
    """Return all steps in the order of creation. Resources are removed in the opposite order."""
    steps: list[Step] = [
        ModeStep(deployment),
        NetworkStep(deployment),
        GivenResourcesStep(deployment),
        BucketStep(deployment),
        ArtifactStep(deployment),
        RepositoryStep(deployment),
        ImageStep(deployment),
        RoleStep(deployment),
        ModelsStep(deployment),
        EndpointConfigStep(deployment),
        RollbackAlarmStep(deployment),
        EndpointStep(deployment),
        ScalingStep(deployment),
        CapacityStep(deployment),
        MonitoringStep(deployment),
        TagsStep(deployment),
        FirstQuestionStep(deployment),
        BatchTransformStep(deployment),
    ]
    return [*steps, OutdatedResourcesStep(deployment, steps)]
