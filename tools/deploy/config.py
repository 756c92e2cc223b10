"""The configuration of a deployment: one typed TOML file, whose values can be overridden by flags.

The defaults give the endpoint of the article.
"""

import json
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

from tools.deploy.tags import OWNER_TAG
from tools.deploy.values import messages, patterns
from tools.deploy.values.prices import parse_prices
from tools.deploy.values.rules import check_values
from tools.deploy.variants import Variant, parse_traffic
from tools.errors import ToolError
from tools.remote.instance_prices import DEFAULT_INSTANCE

SERVERLESS_DISK_BYTES = 5 * 2**30  # "5 GB of ephemeral disk storage"
# These tables of the file have no flag.
TABLES = ("environment", "tags", "overrides")

Mode = Literal["realtime", "async", "serverless", "batch", "multi-model"]


class DeploymentConfig(BaseModel):
    """All choices of a deployment. The descriptions appear in `--help` and in the example file."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), regex_engine="python-re")

    name: str = Field(
        "bert-qa",
        pattern=patterns.NAME,
        max_length=32,
        description="name of the deployment and of its endpoint; all other names begin with it",
    )
    region: str = Field("", description="AWS region (default: AWS_REGION, or the region of the AWS profile)")
    model_dir: Path = Field(Path("build/demo"), description="directory of the artifact, which `quantize` wrote")
    image: str = Field("bert-qa", description="local image that is pushed to ECR")
    image_uri: str = Field("", description="image that is already in ECR; nothing is pushed")
    engine: str = Field("", description="docker or podman (default: the first one that runs)")
    role_arn: str = Field("", pattern=patterns.ROLE_ARN, description="existing execution role; no role is created")
    role_path: str = Field("/", pattern=patterns.ROLE_PATH, description="path of the role that is created, as in /ml/")
    bucket: str = Field(
        "", pattern=patterns.BUCKET, description="S3 bucket, created if it is missing (default: NAME-ACCOUNT-REGION)"
    )

    mode: Mode = Field("realtime", description="realtime, async, serverless, batch or multi-model")
    instance: patterns.InstanceTypes = Field(
        DEFAULT_INSTANCE, pattern=patterns.INSTANCE_TYPE, description="instance type"
    )
    instance_pools: patterns.InstanceTypes = Field(
        "",
        description="instead of instance, two to five types that AWS tries in this order, such as "
        "ml.c7i.2xlarge,ml.c6i.2xlarge",
    )
    instances: int = Field(1, ge=1, description="number of instances for each variant; the minimum if they scale")
    traffic: str = Field(
        "",
        description="a variant for each precision, with weights, such as INT8=90,FP32=10 (default: one for all)",
    )
    uncompressed: bool = Field(
        False, description="upload the artifact as separate files instead of model.tar.gz; large models start sooner"
    )
    network_isolation: bool = Field(
        True, description="the container cannot reach any network; not available in serverless mode"
    )
    startup_seconds: int = Field(600, ge=60, le=3600, description="time limit until the container is ready")
    dollars_per_hour: str | None = Field(
        None,
        description="price of one instance for an hour, or of each type as in ml.c7i.large=0.11,ml.c6i.large=0.10, "
        "if the default in tools/remote/instance_prices.py is not right",
    )

    max_instances: int = Field(
        1, ge=1, description="scale each variant out to at most this many instances; 1 for no scaling"
    )
    scale_by: Literal["invocations", "concurrency"] = Field(
        "invocations", description="scale by invocations per minute, or by concurrent requests, of each instance"
    )
    scale_target: float | None = Field(
        None, gt=0, description="load that each instance should have; in async mode, requests that wait per instance"
    )
    scale_to_zero: bool = Field(
        False, description="in async mode, run no instance while no request waits; the next request waits some minutes"
    )
    benchmark: Path | None = Field(
        None, description="benchmark.json that `make benchmark` wrote for this instance type; gives scale_target"
    )
    rollback_alarm: bool = Field(False, description="roll an update back if too many answers are 5xx within 5 minutes")
    alarms: bool = Field(
        False, description="alarms on errors, latency, refusals, lost lanes and the guard; a dashboard"
    )
    alarm_topic: str = Field("", pattern=patterns.TOPIC_ARN, description="ARN of the SNS topic that the alarms notify")
    keep: int = Field(2, ge=0, le=10, description="number of earlier configurations to which `rollback` can return")
    rolling: bool = Field(False, description="update one half of the instances after the other, to need fewer of them")

    # "Memory size in MB per serverless endpoint" is 3072 in a new account, by several public reports.
    memory_mb: int = Field(3072, ge=1024, le=6144, multiple_of=1024, description="memory of a serverless endpoint")
    max_concurrency: int = Field(5, ge=1, le=200, description="concurrent requests of a serverless endpoint")
    batch_input: str = Field(
        "", pattern=patterns.S3_URI, description="S3 prefix of the JSON Lines files for a batch job"
    )
    batch_output: str = Field("", pattern=patterns.S3_URI, description="S3 prefix for the answers of a batch job")

    subnets: str = Field("", description="subnets of your VPC, two or more in different zones: subnet-1,subnet-2")
    security_groups: str = Field("", description="security groups in the VPC: sg-1,sg-2")
    kms_key: str = Field("", pattern=patterns.KEY_ARN, description="ARN of the KMS key for disks and stored answers")
    capture_percent: int = Field(
        0, ge=0, le=100, description="share of the requests and answers that AWS stores under s3://BUCKET/NAME/capture/"
    )

    detailed_observability: bool = Field(
        False, description="let AWS collect the server's metrics, for $0.50 a GB; AWS's own default is true"
    )

    environment: dict[str, str] = Field({}, description="settings of the container (docs/settings.md)")
    tags: dict[str, str] = Field({}, description="further tags for everything that is created")
    overrides: dict[str, dict[str, Any]] = Field(
        {}, description="further parameters of boto3 operations, for shadow variants and so on"
    )

    @field_validator("traffic")
    @classmethod
    def _traffic_parses(cls, text: str) -> str:
        parse_traffic(text)
        return text

    @field_validator("dollars_per_hour", mode="before")
    @classmethod
    def _prices_parse(cls, given: object) -> object:
        if isinstance(given, (int, float)) and not isinstance(given, bool):  # the file may hold a number
            given = f"{given:g}"
        if isinstance(given, str):
            parse_prices(given)
        return given

    @field_validator("tags")
    @classmethod
    def _owner_tag_is_absent(cls, tags: dict[str, str]) -> dict[str, str]:
        if OWNER_TAG in tags:
            raise ValueError(f"{OWNER_TAG} marks what `down` may remove, and is set from name: leave it out")
        return tags

    @model_validator(mode="after")
    def _values_fit_together(self, info: ValidationInfo) -> "DeploymentConfig":
        if not (info.context or {}).get("is_partial"):
            check_values(self)
        return self

    @property
    def scales(self) -> bool:
        """Whether the number of instances follows the load."""
        return self.max_instances > 1 or self.scale_to_zero

    @property
    def fewest_instances(self) -> int:
        """The number of instances of each variant without any load."""
        return 0 if self.scale_to_zero else self.instances

    @property
    def instance_types(self) -> list[str]:
        """The instance types of each variant: those of the instance pools, the first choice first, or a single one."""
        return [one.strip() for one in self.instance_pools.split(",")] if self.instance_pools else [self.instance]

    @property
    def subnet_ids(self) -> list[str]:
        """The subnets of the container's VPC."""
        return [one.strip() for one in self.subnets.split(",") if one.strip()]

    @property
    def has_private_registry(self) -> bool:
        """Whether the image comes from a registry in the VPC, by an override of CreateModel, and not from ECR."""
        container = self.overrides.get("CreateModel", {}).get("PrimaryContainer", {})
        image = container.get("ImageConfig", {}) if isinstance(container, dict) else {}
        return isinstance(image, dict) and image.get("RepositoryAccessMode") == "Vpc"

    @property
    def vpc(self) -> dict[str, list[str]]:
        """The VPC of the container in the form of CreateModel, or {} if it has none."""
        groups = [one.strip() for one in self.security_groups.split(",") if one.strip()]
        return {"SecurityGroupIds": groups, "Subnets": self.subnet_ids} if self.subnets else {}

    @property
    def variants(self) -> list[Variant]:
        """The variants of the endpoint, at least one."""
        return parse_traffic(self.traffic)

    @property
    def has_endpoint(self) -> bool:
        """Whether the mode has an endpoint. Only batch mode has none."""
        return self.mode != "batch"

    @property
    def is_isolated(self) -> bool:
        """Whether the container runs without a network. SageMaker does not offer this for serverless endpoints."""
        return self.network_isolation and self.mode != "serverless"


def read_config(path: Path | None, flags: dict[str, Any], *, is_partial: bool = False) -> DeploymentConfig:
    """Read a configuration file. Values in `flags` override those of the file.

    is_partial: the command only looks at what exists, or removes it. It needs the name and the region, and the other
    values need not fit together.

    Raises: ToolError, which names every invalid value.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8")) if path else {}
    except OSError as error:
        raise ToolError(f"cannot read {path}: {error.strerror}. `python -m tools.deploy example` prints one") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ToolError(f"{path} is not a valid TOML file: {error}") from None
    try:
        return DeploymentConfig.model_validate({**values, **flags}, context={"is_partial": is_partial})
    except ValidationError as error:
        problems = messages.describe(error, list(DeploymentConfig.model_fields), TABLES)
        raise ToolError(f"{problems}. `python -m tools.deploy example` explains every value") from None


def example_config() -> str:
    """Return a configuration file with every value commented out and explained.

    Each value is the default, or an example if there is no default.
    """
    lines = ["# Use this file with `python -m tools.deploy plan --config FILE`. Flags override its values.", ""]
    for name, field in DeploymentConfig.model_fields.items():
        if name in TABLES:
            lines += ["", f"# {field.description}", *_TABLE_EXAMPLES[name]]
            continue
        value = _VALUE_EXAMPLES[name] if field.default is None else field.default
        text = json.dumps(value if isinstance(value, (bool, int, float)) else str(value))
        note = " (this value is an example)" if field.default is None else ""
        lines.append(f"{f'# {name} = {text}':<34} # {field.description}{note}")
    return "\n".join(lines) + "\n"


_VALUE_EXAMPLES: dict[str, float | str] = {
    "dollars_per_hour": "0.408",
    "scale_target": 600,
    "benchmark": "build/benchmark/benchmark.json",
}
_TABLE_EXAMPLES = {
    "environment": ["# [environment]", '# MAX_QUEUE_SECONDS = "5"'],
    "tags": ["# [tags]", '# team = "search"'],
    "overrides": [
        "# [overrides.CreateEndpointConfig.ProductionVariants.AllTraffic]",
        "# VolumeSizeInGB = 50",
    ],
}
