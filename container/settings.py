"""All settings of the server. No other module reads them from the environment.

A test compares the table in docs/settings.md with this class. The name of a setting ends with its unit, if it has one.
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
    """An environment variable has an invalid value. The message names the variable."""


class Settings(BaseSettings):
    """The server's settings. The server reads them from environment variables once, when it starts."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    model_dir: Path = Field(
        Path(contract.MODEL_DIR),
        validation_alias="MODEL_DIR",
        description="The server loads the artifact in this directory. `quantize` writes such a directory. A directory "
        "in the layout of AWS's sample works too.",
    )
    host: str = Field("0.0.0.0", validation_alias="HOST", description="The server listens on this address.")
    port: int = Field(
        contract.PORT,
        ge=1,
        le=65535,
        validation_alias=AliasChoices("SAGEMAKER_BIND_TO_PORT", "PORT"),
        description="The server listens on this port.",
    )
    precisions: Annotated[tuple[Precision, ...] | None, NoDecode] = Field(
        None,
        validation_alias="PRECISIONS",
        description="With `auto`, the server offers every precision that the artifact contains and the CPU supports. "
        "With a list such as `INT8,FP32`, the server starts only if it can load each precision in the list.",
    )
    request_timeout_seconds: float = Field(
        contract.RESPONSE_TIMEOUT_SECONDS,
        gt=0,
        le=3600,
        validation_alias=AliasChoices(
            "REQUEST_TIMEOUT_SECONDS", "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS", "SAGEMAKER_MODEL_SERVER_TIMEOUT"
        ),
        description="A request that has no answer after this time gets status 504.",
    )
    max_queue_seconds: float = Field(
        10,
        gt=0,
        le=3600,
        validation_alias="MAX_QUEUE_SECONDS",
        description="A request that would wait in the queue for longer than this gets status 429 with a Retry-After "
        "header.",
    )
    max_payload_mb: int = Field(
        contract.MAX_PAYLOAD_MB,
        ge=0,
        le=1024,
        validation_alias=AliasChoices("MAX_PAYLOAD_MB", "SAGEMAKER_MAX_PAYLOAD_IN_MB"),
        description="A request body that is larger than this, in MiB, gets status 413. With `0` there is no limit.",
    )
    batch: bool = Field(
        False,
        validation_alias="SAGEMAKER_BATCH",
        description="Switches on batch transform: a body in JSON Lines may have any size, and a request may take an "
        "hour.",
    )
    multi_model: bool = Field(
        False,
        validation_alias="SAGEMAKER_MULTI_MODEL",
        description="Switches on the multi-model endpoint: the server starts without a model, and clients load and "
        "unload models through `/models`.",
    )
    narrow_lanes: int | None = Field(
        None,
        ge=1,
        le=256,
        validation_alias=AliasChoices("NARROW_LANES", "SAGEMAKER_MODEL_SERVER_WORKERS"),
        description="The server uses at most this many cores and runs one narrow lane on each. With `auto` it uses "
        "every physical core that it may use.",
    )
    wide_lane: bool = Field(
        True,
        validation_alias="WIDE_LANE",
        description="Adds wide lanes, which use several cores for one window. They give the lowest latency while few "
        "windows wait.",
    )
    background_lanes: bool = Field(
        True,
        validation_alias="BACKGROUND_LANES",
        description="Adds background lanes, which run the windows of a request after its fourth one. They give way to "
        "other requests. A multi-model endpoint has none.",
    )
    guard_share: float = Field(
        0.01,
        ge=0,
        le=1,
        validation_alias="GUARD_SHARE",
        description="The guard runs at most this share of the INT8 answers again in FP32, when a core is idle. `0` "
        "switches the guard off. A multi-model endpoint has no guard.",
    )
    guard_min_agreement: float = Field(
        0.8,
        ge=0,
        le=1,
        validation_alias="GUARD_MIN_AGREEMENT",
        description="The server logs a warning when FP32 agrees with less than this share of the last 100 answers that "
        "the guard ran again. A multi-model endpoint has no guard.",
    )
    run_as_user: int = Field(
        0,
        ge=0,
        le=2**31 - 1,
        validation_alias="RUN_AS_USER",
        description="A server that is started as root switches to the user and the group with this ID before it opens "
        "its port. With `0` it stays root. The image sets `10001`.",
    )
    rung_step: int | None = Field(
        None,
        ge=8,
        le=512,
        validation_alias="RUNG_STEP",
        description="The rungs of the ladder are this many tokens apart. A larger step needs less memory but pads "
        "windows more. With `auto` the step is 16, or more if memory is short; on a multi-model endpoint it is 64.",
    )
    log_level: LogLevel = Field(
        "INFO",
        validation_alias=AliasChoices("LOG_LEVEL", "SAGEMAKER_CONTAINER_LOG_LEVEL"),
        description="The server logs messages of this level and above: `DEBUG`, `INFO`, `WARNING` or `ERROR`, or "
        "Python's number for one of them.",
    )
    onednn_max_cpu_isa: str = Field(
        "DEFAULT",
        validation_alias="ONEDNN_MAX_CPU_ISA",
        description="The server uses only the instructions of this CPU generation, even if the CPU has more: "
        "`AVX512_CORE` and `AVX2` stand for older CPUs. The variable is oneDNN's own, and is meant for tests.",
    )

    @property
    def engine_timeout_seconds(self) -> float:
        """The time limit of a request. In batch transform it is the longest time that CreateTransformJob allows."""
        return max(self.request_timeout_seconds, contract.BATCH_TIMEOUT_SECONDS if self.batch else 0)

    def payload_limit_mb(self, *, is_json_lines: bool) -> int | None:
        """Return the limit on the size of a request body in MiB, or None if there is no limit.

        Batch transform has no limit for JSON Lines, because the server reads such a body as a stream.
        """
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
            raise ValueError("must be auto, or a comma-separated list of INT8, BF16 and FP32")
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
        """Read the settings from the environment.

        Raises: SettingsError with one line that names the variable, its value and what is expected.
        """
        try:
            return cls()
        except ValidationError as error:
            first = error.errors()[0]
            names = next(names for names in map(variable_names, cls.model_fields) if first["loc"][0] in names)
            # pydantic names the first alias even if another one is set, so look for the one that is set.
            name = next(name for name in names if os.environ.get(name))
            raise SettingsError(f"{name}={os.environ[name]!r}: {first['msg']}") from None


def variable_names(field_name: str) -> list[str]:
    """Return the environment variables of a setting. If several are set, the first one in this list wins."""
    alias = Settings.model_fields[field_name].validation_alias
    if isinstance(alias, AliasChoices):
        return [str(choice) for choice in alias.choices]
    return [str(alias)]
