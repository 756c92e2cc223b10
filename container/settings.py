"""Every knob of the server, one line each; the only place that reads the environment.

The table in docs/settings.md is checked against this class. Names end in their unit.
"""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from container import contract
from container.precision import PRECISIONS, Precision

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


class SettingsError(Exception):
    """An environment variable has a value that cannot be used; the message names it."""


class Settings(BaseSettings):
    """The server's settings, read once at start from environment variables."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    model_dir: Path = Field(
        Path(contract.MODEL_DIR),
        validation_alias="MODEL_DIR",
        description="the artifact: a directory that `quantize` wrote, or the AWS sample's layout",
    )
    host: str = Field("0.0.0.0", validation_alias="HOST", description="address to listen on")
    port: int = Field(
        contract.PORT,
        ge=1,
        le=65535,
        validation_alias=AliasChoices("SAGEMAKER_BIND_TO_PORT", "PORT"),
        description="port to listen on",
    )
    precisions: Annotated[tuple[Precision, ...] | None, NoDecode] = Field(
        None,
        validation_alias="PRECISIONS",
        description="`auto`: what artifact and CPU allow; or a list such as `INT8,FP32`, each of which must load",
    )
    request_timeout_seconds: float = Field(
        contract.RESPONSE_TIMEOUT_SECONDS,
        gt=0,
        le=3600,
        validation_alias=AliasChoices(
            "REQUEST_TIMEOUT_SECONDS", "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS", "SAGEMAKER_MODEL_SERVER_TIMEOUT"
        ),
        description="a request that is not answered by then gets 504",
    )
    max_queue_seconds: float = Field(
        10,
        gt=0,
        le=3600,
        validation_alias="MAX_QUEUE_SECONDS",
        description="a request that would wait longer than this for its turn gets 429 with Retry-After",
    )
    max_payload_mb: int = Field(
        contract.MAX_PAYLOAD_MB,
        ge=0,
        le=1024,
        validation_alias=AliasChoices("MAX_PAYLOAD_MB", "SAGEMAKER_MAX_PAYLOAD_IN_MB"),
        description="largest request body, MiB; more gets 413; 0: any size",
    )
    batch: bool = Field(
        False,
        validation_alias="SAGEMAKER_BATCH",
        description="batch transform: JSON Lines of any size, and an hour for a request",
    )
    multi_model: bool = Field(
        False,
        validation_alias="SAGEMAKER_MULTI_MODEL",
        description="multi-model endpoint: no model at start, they come and go through `/models`",
    )
    narrow_lanes: int | None = Field(
        None,
        ge=1,
        le=256,
        validation_alias=AliasChoices("NARROW_LANES", "SAGEMAKER_MODEL_SERVER_WORKERS"),
        description="cores to use, with one lane each for throughput; default: every physical core",
    )
    wide_lane: bool = Field(
        True,
        validation_alias="WIDE_LANE",
        description="lanes over several cores, for the lowest latency when little waits",
    )
    background_lanes: bool = Field(
        True,
        validation_alias="BACKGROUND_LANES",
        description="lanes that run what a request has beyond 4 windows and give way to other requests",
    )
    guard_share: float = Field(
        0.01,
        ge=0,
        le=1,
        validation_alias="GUARD_SHARE",
        description="share of INT8 answers, at most, that are run again in FP32 when a core is idle; 0: off",
    )
    guard_min_agreement: float = Field(
        0.8,
        ge=0,
        le=1,
        validation_alias="GUARD_MIN_AGREEMENT",
        description="a warning is logged when fewer of the last 100 such answers agree",
    )
    run_as_user: int = Field(
        0,
        ge=0,
        le=2**31 - 1,
        validation_alias="RUN_AS_USER",
        description="user and group id that a server started as root becomes, before its port opens; "
        "0: it stays what it is; the image sets 10001",
    )
    rung_step: int | None = Field(
        None,
        ge=8,
        le=512,
        validation_alias="RUNG_STEP",
        description="tokens between two lengths of the shape ladder; wider takes less memory and pads more; "
        "default: 16, wider where memory is short",
    )
    log_level: LogLevel = Field(
        "INFO",
        validation_alias=AliasChoices("LOG_LEVEL", "SAGEMAKER_CONTAINER_LOG_LEVEL"),
        description="DEBUG, INFO, WARNING or ERROR, or Python's number for it",
    )
    onednn_max_cpu_isa: str = Field(
        "DEFAULT",
        validation_alias="ONEDNN_MAX_CPU_ISA",
        description="oneDNN's own variable: pretend to be an older CPU, for tests (`AVX512_CORE`, `AVX2`)",
    )

    @property
    def engine_timeout_seconds(self) -> float:
        """What a request may take: in batch, the most that CreateTransformJob lets the platform wait."""
        return max(self.request_timeout_seconds, contract.BATCH_TIMEOUT_SECONDS if self.batch else 0)

    def payload_limit_mb(self, *, is_json_lines: bool) -> int | None:
        """The largest body, MiB; None: any size. Batch lifts it for JSON Lines, which stream."""
        return None if is_json_lines and self.batch else self.max_payload_mb or None

    @field_validator("precisions", mode="before")
    @classmethod
    def _split_precisions(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if value.strip().lower() == "auto":
            return None
        wanted = {name.strip().upper() for name in value.split(",")}
        if not wanted <= set(PRECISIONS):
            raise ValueError("must be auto or a comma-separated list of INT8, BF16, FP32")
        return tuple(name for name in PRECISIONS if name in wanted)

    @field_validator("narrow_lanes", "rung_step", mode="before")
    @classmethod
    def _auto(cls, value: Any) -> Any:
        return None if isinstance(value, str) and value.strip().lower() == "auto" else value

    @field_validator("log_level", mode="before")
    @classmethod
    def _level_name(cls, value: Any) -> Any:
        numbers = {"10": "DEBUG", "20": "INFO", "30": "WARNING", "40": "ERROR", "50": "ERROR"}
        return numbers.get(str(value), str(value).upper())

    @classmethod
    def from_env(cls) -> "Settings":
        """Read the environment.

        Raises: SettingsError, one line that names the variable, its value and what is expected.
        """
        try:
            return cls()
        except ValidationError as error:
            first = error.errors()[0]
            names = next(names for names in map(variable_names, cls.model_fields) if first["loc"][0] in names)
            name = next(name for name in names if os.environ.get(name))  # pydantic reports the first of them
            raise SettingsError(f"{name}={os.environ[name]!r}: {first['msg']}") from None


def variable_names(field_name: str) -> list[str]:
    """The environment variables of a setting, the one that wins first."""
    alias = Settings.model_fields[field_name].validation_alias
    if isinstance(alias, AliasChoices):
        return [str(choice) for choice in alias.choices]
    return [str(alias)]
