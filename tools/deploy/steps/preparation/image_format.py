"""The format of an image: SageMaker refuses manifests in the OCI format, and lists of manifests."""

from typing import Any

from tools.deploy.deployment import Deployment
from tools.errors import ToolError
from tools.remote.aws import AwsError

# CreateModel answers "Unsupported manifest media type application/vnd.oci.image.manifest.v1+json" to the OCI format:
# https://github.com/aws/amazon-sagemaker-feedback/issues/180
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_NO_IMAGE = ("RepositoryNotFoundException", "ImageNotFoundException")
# BuildKit writes the OCI format by default since 0.31.0 (https://github.com/moby/buildkit/pull/6844), and whenever an
# image has attestations. Older versions know both options.
REMEDY = (
    "SageMaker accepts images in docker's format but not in the OCI format. Build the image again with `make image`, "
    "or with `docker build --provenance=false --output type=docker,oci-mediatypes=false -t IMAGE .`, or with "
    "`podman build --format docker -t IMAGE .`"
)


def check_format(image: dict[str, Any], uri: str) -> None:
    """Check the format of an image in ECR. `image` is its part of DescribeImages's response.

    Raises: ToolError if CreateModel would refuse the image.
    """
    media_type = image.get("imageManifestMediaType", DOCKER_MANIFEST)
    if media_type != DOCKER_MANIFEST:
        raise ToolError(f"{uri} has the format {media_type}. {REMEDY}")


def describe_image(deployment: Deployment) -> dict[str, Any] | None:
    """Return ECR's description of the deployment's image, or None if ECR does not have it.

    An image that the configuration names may belong to somebody else, who lets the caller pull but not describe it.
    Then the result is None as well, and so it is for an image in a private registry.

    Raises: ToolError if the configuration names an image that ECR does not have.
    """
    if deployment.config.has_private_registry:
        return None
    if deployment.config.image_uri:
        return _describe_named(deployment, deployment.config.image_uri)
    ids = [{"imageTag": deployment.image.tag}]
    repository = deployment.names.repository
    response = deployment.aws.find("ecr", "DescribeImages", _NO_IMAGE, repositoryName=repository, imageIds=ids)
    return dict(response["imageDetails"][0]) if response else None


def _describe_named(deployment: Deployment, uri: str) -> dict[str, Any] | None:
    host, _, path = uri.partition("/")
    account, region = host.split(".")[0], host.split(".")[3]  # ACCOUNT.dkr.ecr.REGION.amazonaws.com
    if region != deployment.config.region:
        raise ToolError(
            f"{uri} is in {region}, and the deployment in {deployment.config.region}: push the image to ECR there, and "
            "name that one with --image-uri"
        )
    repository, _, digest = path.partition("@")
    repository, _, tag = repository.partition(":")
    try:
        response = deployment.aws.call(
            "ecr",
            "DescribeImages",
            registryId=account,
            repositoryName=repository,
            imageIds=[{"imageDigest": digest} if digest else {"imageTag": tag or "latest"}],
        )
    except AwsError as error:
        if error.code == "AccessDeniedException":
            return None
        if error.code not in _NO_IMAGE:
            raise
        raise ToolError(f"{uri}: not found in ECR ({error.message}). Correct --image-uri, or push the image") from None
    return dict(response["imageDetails"][0])
