"""What to deploy: one typed file in TOML; flags override its values. The defaults make the article's endpoint."""

import json
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from container.precision import PRECISIONS, Precision
from tools.errors import ToolError
from tools.remote.instance_prices import DEFAULT_INSTANCE

OWNER_TAG = "bert-qa:deployment"
SERVERLESS_DISK_BYTES = 5 * 2**30  # "5 GB of ephemeral disk storage"
# "tables" have no flag: they stand in the file only.
TABLES = ("environment", "tags", "overrides")

Mode = Literal["realtime", "async", "serverless", "batch"]


class Variant(BaseModel):
    """A share of an endpoint's traffic. precision None: the one that each request asks for."""

    model_config = ConfigDict(frozen=True)

    name: str
    precision: Precision | None
    weight: float


class Deployment(BaseModel):
    """Every choice. The descriptions are the help texts, the commented example and the guide's table."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    name: str = Field(
        "bert-qa",
        pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$",
        max_length=32,
        description="of the deployment: of the endpoint, and the beginning of every other name",
    )
    region: str = Field("", description="AWS region (default: AWS_REGION, or the profile's)")
    model_dir: Path = Field(Path("build/demo"), description="the artifact: a directory that `quantize` wrote")
    image: str = Field("bert-qa", description="local image that is pushed to ECR")
    image_uri: str = Field("", description="image that is in ECR already: nothing is pushed")
    engine: str = Field("", description="docker or podman (default: the first that is installed)")
    role_arn: str = Field("", description="execution role that exists already: none is made")
    bucket: str = Field("", description="S3 bucket (default: NAME-ACCOUNT-REGION); is made where it is missing")

    mode: Mode = Field("realtime", description="realtime, async, serverless or batch")
    instance: str = Field(DEFAULT_INSTANCE, pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9]+$", description="instance type")
    instances: int = Field(1, ge=1, description="how many, of each variant; the fewest where they scale")
    traffic: str = Field(
        "", description="empty: one variant serves all precisions; or a variant each, with weights: INT8=90,FP32=10"
    )
    uncompressed: bool = Field(False, description="model data as files instead of model.tar.gz: starts sooner")
    network_isolation: bool = Field(True, description="the container reaches no network (never so in serverless)")
    startup_seconds: int = Field(600, ge=60, le=3600, description="how long the container may take to be ready")
    dollars_per_hour: float | None = Field(None, gt=0, description="an instance's price (default: tools/prices.py)")

    max_instances: int = Field(1, ge=1, description="scale out up to so many, of each variant; 1: no scaling")
    scale_by: Literal["invocations", "concurrency"] = Field(
        "invocations", description="per instance: invocations a minute, or requests under way"
    )
    scale_target: float | None = Field(
        None, gt=0, description="what an instance should take; in async, how many requests wait for each"
    )
    benchmark: Path | None = Field(
        None, description="benchmark.json of `make benchmark` on that instance type: scale_target from it"
    )
    rollback_alarm: bool = Field(False, description="an update rolls back on 5xx answers within 5 minutes")

    memory_mb: int = Field(4096, ge=1024, le=6144, multiple_of=1024, description="serverless: memory")
    max_concurrency: int = Field(5, ge=1, le=200, description="serverless: requests at once")
    batch_input: str = Field("", pattern=r"^$|^s3://", description="batch: JSON Lines under this S3 prefix")
    batch_output: str = Field("", pattern=r"^$|^s3://", description="batch: where answers go")

    environment: dict[str, str] = Field({}, description="the container's settings (docs/settings.md)")
    tags: dict[str, str] = Field({}, description="further tags of all that is made")
    overrides: dict[str, dict[str, Any]] = Field(
        {}, description="parameters for boto3 as they are, by operation: VPC, KMS, shadow variants, ..."
    )

    @field_validator("traffic")
    @classmethod
    def _traffic_parses(cls, text: str) -> str:
        _variants(text)
        return text

    @field_validator("tags")
    @classmethod
    def _tag_is_ours(cls, tags: dict[str, str]) -> dict[str, str]:
        if OWNER_TAG in tags:
            raise ValueError(f"{OWNER_TAG} marks what `down` may remove: it is set from name")
        return tags

    @model_validator(mode="after")
    def _fits_together(self) -> "Deployment":
        if self.max_instances < self.instances and self.max_instances != 1:
            raise ValueError("max_instances is below instances")
        if self.scales and self.mode in ("serverless", "batch"):
            raise ValueError(f"{self.mode} has no instances to scale: leave max_instances at 1")
        if self.scales and self.scale_target is None and self.benchmark is None:
            raise ValueError("max_instances needs scale_target, or benchmark to derive it from")
        if self.scales and self.mode == "async" and self.scale_target is None:
            raise ValueError("async scales by what waits for each instance: give that as scale_target, such as 5")
        if self.uncompressed and self.mode in ("serverless", "batch"):
            raise ValueError(f"SageMaker takes uncompressed model data in realtime and async, not in {self.mode}")
        if self.traffic and self.mode != "realtime":
            raise ValueError("traffic over several variants exists in realtime only")
        if self.mode == "batch" and not (self.batch_input and self.batch_output):
            raise ValueError("batch needs batch_input and batch_output")
        return self

    @property
    def scales(self) -> bool:
        """Whether instances come and go with the load."""
        return self.max_instances > 1

    @property
    def variants(self) -> list[Variant]:
        """At least one."""
        return _variants(self.traffic)

    @property
    def has_endpoint(self) -> bool:
        """All but batch transform."""
        return self.mode != "batch"


def _variants(text: str) -> list[Variant]:
    if not text:
        return [Variant(name="AllTraffic", precision=None, weight=1)]
    found = []
    for part in text.split(","):
        name, _, weight = part.strip().partition("=")
        precision = next((p for p in PRECISIONS if p == name.upper()), None)
        if precision is None or not weight.replace(".", "", 1).isdigit():
            raise ValueError("must be like INT8=90,FP32=10: a precision, and its share of the traffic")
        found.append(Variant(name=precision, precision=precision, weight=float(weight)))
    if len({variant.name for variant in found}) < len(found):
        raise ValueError("names a precision twice")
    return found


def read(path: Path | None, flags: dict[str, Any]) -> Deployment:
    """The file's values with the flags' over them.

    Raises: ToolError, one line for each value that cannot be used.
    """
    try:
        values = tomllib.loads(path.read_text()) if path else {}
    except OSError as error:
        raise ToolError(f"cannot read {path}: {error.strerror}. `python -m tools.deploy example` prints one") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ToolError(f"{path} is no TOML: {error}") from None
    try:
        return Deployment.model_validate({**values, **flags})
    except ValidationError as error:
        lines = [
            f"{'.'.join(str(part) for part in one['loc']) or 'the configuration'}: "
            f"{one['msg'].removeprefix('Value error, ')}"
            for one in error.errors()
        ]
        raise ToolError("; ".join(lines) + ". `python -m tools.deploy example` explains every value") from None


def example() -> str:
    """A file with every value at its default, or at an example where there is none, commented out and explained."""
    lines = ["# python -m tools.deploy plan --config FILE; a flag such as --instance overrides a line.", ""]
    for name, field in Deployment.model_fields.items():
        if name in TABLES:
            lines += ["", f"# {field.description}", *_TABLE_EXAMPLES[name]]
            continue
        value = _NO_DEFAULT[name] if field.default is None else field.default
        text = json.dumps(value if isinstance(value, (bool, int, float)) else str(value))
        unset = "; not set by default" if field.default is None else ""
        lines.append(f"{f'# {name} = {text}':<34} # {field.description}{unset}")
    return "\n".join(lines) + "\n"


_NO_DEFAULT: dict[str, float | str] = {
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
