"""The configuration of a deployment: one typed TOML file, whose values can be overridden by flags.

The defaults give the endpoint of the article.
"""

import json
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from container.precision import PRECISIONS, Precision
from tools.deploy.tags import OWNER_TAG
from tools.errors import ToolError
from tools.remote.instance_prices import DEFAULT_INSTANCE

SERVERLESS_DISK_BYTES = 5 * 2**30  # "5 GB of ephemeral disk storage"
# These tables of the file have no flag.
TABLES = ("environment", "tags", "overrides")

Mode = Literal["realtime", "async", "serverless", "batch"]


class Variant(BaseModel):
    """A share of an endpoint's traffic.

    If `precision` is None, the variant serves all precisions, and each request chooses one.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    precision: Precision | None
    weight: float


class DeploymentConfig(BaseModel):
    """All choices of a deployment. The descriptions appear in `--help` and in the example file."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    name: str = Field(
        "bert-qa",
        pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$",
        max_length=32,
        description="name of the deployment and of its endpoint; all other names begin with it",
    )
    region: str = Field("", description="AWS region (default: AWS_REGION, or the region of the AWS profile)")
    model_dir: Path = Field(Path("build/demo"), description="directory of the artifact, which `quantize` wrote")
    image: str = Field("bert-qa", description="local image that is pushed to ECR")
    image_uri: str = Field("", description="image that is already in ECR; nothing is pushed")
    engine: str = Field("", description="docker or podman (default: the first one that runs)")
    role_arn: str = Field("", description="existing execution role; no role is created")
    bucket: str = Field("", description="S3 bucket, created if it is missing (default: NAME-ACCOUNT-REGION)")

    mode: Mode = Field("realtime", description="realtime, async, serverless or batch")
    instance: str = Field(DEFAULT_INSTANCE, pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9]+$", description="instance type")
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
    dollars_per_hour: float | None = Field(
        None,
        gt=0,
        description="price of one instance for an hour, if the default in tools/remote/instance_prices.py is not right",
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
    benchmark: Path | None = Field(
        None, description="benchmark.json that `make benchmark` wrote for this instance type; gives scale_target"
    )
    rollback_alarm: bool = Field(False, description="roll an update back if 5xx answers occur within 5 minutes")

    memory_mb: int = Field(4096, ge=1024, le=6144, multiple_of=1024, description="memory of a serverless endpoint")
    max_concurrency: int = Field(5, ge=1, le=200, description="concurrent requests of a serverless endpoint")
    batch_input: str = Field("", pattern=r"^$|^s3://", description="S3 prefix of the JSON Lines files for a batch job")
    batch_output: str = Field("", pattern=r"^$|^s3://", description="S3 prefix for the answers of a batch job")

    environment: dict[str, str] = Field({}, description="settings of the container (docs/settings.md)")
    tags: dict[str, str] = Field({}, description="further tags for everything that is created")
    overrides: dict[str, dict[str, Any]] = Field(
        {}, description="further parameters of boto3 operations, for VPC, KMS, shadow variants and so on"
    )

    @field_validator("traffic")
    @classmethod
    def _traffic_parses(cls, text: str) -> str:
        _parse_traffic(text)
        return text

    @field_validator("tags")
    @classmethod
    def _owner_tag_is_absent(cls, tags: dict[str, str]) -> dict[str, str]:
        if OWNER_TAG in tags:
            raise ValueError(f"{OWNER_TAG} marks what `down` may remove, and is set from name: leave it out")
        return tags

    @model_validator(mode="after")
    def _values_fit_together(self) -> "DeploymentConfig":
        if self.max_instances < self.instances and self.max_instances != 1:
            raise ValueError("max_instances must not be less than instances")
        if self.scales and self.mode in ("serverless", "batch"):
            raise ValueError(f"{self.mode} mode has no instances to scale: leave max_instances at 1")
        if self.scales and self.scale_target is None and self.benchmark is None:
            raise ValueError("max_instances needs scale_target, or a benchmark that gives it")
        if self.scales and self.mode == "async" and self.scale_target is None:
            raise ValueError("async mode scales by the requests that wait per instance: set scale_target, such as 5")
        if self.uncompressed and self.mode in ("serverless", "batch"):
            raise ValueError(f"SageMaker takes uncompressed artifacts in realtime and async mode, not in {self.mode}")
        if self.traffic and self.mode != "realtime":
            raise ValueError("traffic to several variants needs realtime mode")
        if self.mode == "batch" and not (self.batch_input and self.batch_output):
            raise ValueError("batch mode needs batch_input and batch_output")
        return self

    @property
    def scales(self) -> bool:
        """Whether the number of instances follows the load."""
        return self.max_instances > 1

    @property
    def variants(self) -> list[Variant]:
        """The variants of the endpoint, at least one."""
        return _parse_traffic(self.traffic)

    @property
    def has_endpoint(self) -> bool:
        """Whether the mode has an endpoint. Only batch mode has none."""
        return self.mode != "batch"

    @property
    def is_isolated(self) -> bool:
        """Whether the container runs without a network. SageMaker does not offer this for serverless endpoints."""
        return self.network_isolation and self.mode != "serverless"


def _parse_traffic(text: str) -> list[Variant]:
    if not text:
        return [Variant(name="AllTraffic", precision=None, weight=1)]
    variants = []
    for part in text.split(","):
        name, _, weight = part.strip().partition("=")
        precision = next((p for p in PRECISIONS if p == name.upper()), None)
        if precision is None or not weight.replace(".", "", 1).isdigit():
            raise ValueError("must list precisions with their shares of the traffic, such as INT8=90,FP32=10")
        variants.append(Variant(name=precision, precision=precision, weight=float(weight)))
    if len({variant.name for variant in variants}) < len(variants):
        raise ValueError("must not name a precision twice")
    return variants


def read_config(path: Path | None, flags: dict[str, Any]) -> DeploymentConfig:
    """Read a configuration file. Values in `flags` override those of the file.

    Raises: ToolError, which names every invalid value.
    """
    try:
        values = tomllib.loads(path.read_text()) if path else {}
    except OSError as error:
        raise ToolError(f"cannot read {path}: {error.strerror}. `python -m tools.deploy example` prints one") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ToolError(f"{path} is not a valid TOML file: {error}") from None
    try:
        return DeploymentConfig.model_validate({**values, **flags})
    except ValidationError as error:
        problems = [
            f"{'.'.join(str(part) for part in one['loc']) or 'the configuration'}: "
            f"{one['msg'].removeprefix('Value error, ')}"
            for one in error.errors()
        ]
        raise ToolError("; ".join(problems) + ". `python -m tools.deploy example` explains every value") from None


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
    "dollars_per_hour": 0.408,
    "scale_target": 600,
    "benchmark": "build/benchmark/benchmark.json",
}
_TABLE_EXAMPLES = {
    "environment": ["# [environment]", '# MAX_QUEUE_SECONDS = "5"'],
    "tags": ["# [tags]", '# team = "search"'],
    "overrides": [
        "# [overrides.CreateModel.VpcConfig]",
        '# Subnets = ["subnet-0123456789abcdef0"]',
        '# SecurityGroupIds = ["sg-0123456789abcdef0"]',
    ],
}
