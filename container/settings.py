"""All settings of the server, with those of its parts. Only this class is read from the environment.

A test compares the table in docs/settings.md with this class. The name of a setting ends with its unit, if it has one.
"""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, ValidationInfo, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from container import contract
from container.access.settings import AccessSettings
from container.lanes.settings import AUTO, LaneSettings
from container.precision import Precision
from container.tasks.settings import TaskSettings
from container.telemetry.settings import TelemetrySettings
from container.validation import environment, values


class Settings(AccessSettings, LaneSettings, TaskSettings, TelemetrySettings):
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
        validation_alias=AliasChoices("SAGEMAKER_BIND_TO_PORT", "AIP_HTTP_PORT", "PORT"),
        description="The server listens on this port.",
    )
    admin_port: int = Field(
        0,
        ge=0,
        le=65535,
        validation_alias="ADMIN_PORT",
        description="A second port, on the same address, for `/metrics`, `/info` and, on a multi-model endpoint, "
        "`/models`. The first port then answers them with 404, and has no page. With `0` there is no second port. "
        "Leave it so on SageMaker, which reaches one port only.",
    )
    precisions: Annotated[tuple[Precision, ...] | None, NoDecode, BeforeValidator(values.split_precisions)] = Field(
        None,
        validation_alias="PRECISIONS",
        description="With `auto`, the server offers every precision that the artifact contains and the CPU supports. "
        "With a list such as `INT8,FP32`, the server starts only if it can load each precision in the list.",
    )
    request_timeout_seconds: float = Field(
        contract.REQUEST_TIMEOUT_SECONDS,
        gt=0,
        le=3600,
        validation_alias=AliasChoices(
            "REQUEST_TIMEOUT_SECONDS", "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS", "SAGEMAKER_MODEL_SERVER_TIMEOUT"
        ),
        description="A request that has no answer after this time gets status 504. The default is less than the 60 s "
        "after which SageMaker gives a real-time request up, so that the caller sees the 504.",
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
    max_bodies_mb: Annotated[int | None, AUTO] = Field(
        None,
        ge=1,
        le=2**20,
        validation_alias="MAX_BODIES_MB",
        description="The bodies of all requests that have not been answered may have this size together, in MiB. A "
        "request beyond it gets status 429 before its body is read. Bodies of more than 64 KiB may use three quarters "
        "of it; a larger body counts as these three quarters. With `auto` it is a 64th of the memory, at most 256.",
    )
    max_connections: int = Field(
        1000,
        ge=1,
        le=100_000,
        validation_alias="MAX_CONNECTIONS",
        description="The server keeps at most this many connections. It closes the one that has been idle longest when "
        "another one is opened.",
    )
    keep_alive_seconds: float = Field(
        75,
        gt=0,
        le=3600,
        validation_alias="KEEP_ALIVE_SECONDS",
        description="The server closes a connection that has had no request for this time. Load balancers in front of "
        "the server should close idle connections earlier; common ones wait 60 s.",
    )
    max_items: int = Field(
        5_000,
        ge=1,
        le=1_000_000,
        validation_alias="MAX_ITEMS",
        description="A request with more items than this, or with more than 16 times as many JSON values, gets status "
        "413 before any text is tokenized. Each passage in `contexts` is an item. In JSON Lines, the limit applies to "
        "each line.",
    )
    max_characters: int = Field(
        contract.MAX_PAYLOAD_MB * 2**20,
        ge=1,
        le=2**30,
        validation_alias="MAX_CHARACTERS",
        description="A request whose questions and contexts have more characters than this together gets status 413 "
        "before any text is tokenized. In JSON Lines, the limit applies to each line.",
    )
    max_spool_mb: int = Field(
        1024,
        ge=1,
        le=2**20,
        validation_alias="MAX_SPOOL_MB",
        description="A JSON Lines request whose answers take more than this in the temporary directory, in MiB, gets "
        "status 413.",
    )
    batch: bool = Field(
        False,
        validation_alias="SAGEMAKER_BATCH",
        description="Switches on batch transform: a body in JSON Lines may have any size, and a request may take an "
        "hour.",
    )
    asynchronous: bool = Field(
        False,
        validation_alias="ASYNC_INFERENCE",
        description="Switches on asynchronous inference: a body in JSON Lines may have any size, a request may take an "
        "hour, and a request may wait in the queue for an hour.",
    )
    multi_model: bool = Field(
        False,
        validation_alias="SAGEMAKER_MULTI_MODEL",
        description="Switches on the multi-model endpoint: the server starts without a model, and clients load and "
        "unload models through `/models`.",
    )
    page: bool = Field(
        True,
        validation_alias="PAGE",
        description="Serves a page at `/`, on which people ask questions about a text. SageMaker never shows it, and a "
        "multi-model endpoint has none.",
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
    no_answer_threshold: Annotated[float | None, AUTO] = Field(
        None,
        allow_inf_nan=False,
        validation_alias="NO_ANSWER_THRESHOLD",
        description="In a request with `handle_impossible_answer`, the empty answer wins if its logit sum exceeds the "
        "best span's by more than this. A request can name another one. With `auto` it is the artifact's, or `0`.",
    )
    run_as_user: int = Field(
        0,
        ge=0,
        le=2**31 - 1,
        validation_alias="RUN_AS_USER",
        description="A server that is started as root switches to the user and the group with this ID before it opens "
        "its port. With `0` it stays root. The image sets `10001`.",
    )
    onednn_max_cpu_isa: Annotated[str, AfterValidator(values.known_isa)] = Field(
        "DEFAULT",
        validation_alias="ONEDNN_MAX_CPU_ISA",
        description="The server uses only the instructions of this CPU generation, even if the CPU has more: "
        "`AVX512_CORE` and `AVX2` stand for older CPUs. The variable is oneDNN's own, and is meant for tests.",
    )

    @field_validator("admin_port")
    @classmethod
    def _check_admin_port(cls, port: int, info: ValidationInfo) -> int:
        if port and port == info.data.get("port"):
            raise ValueError("must be another port than that of the server")
        return port

    @property
    def ports(self) -> tuple[int, ...]:
        """The ports on which the server listens."""
        return (self.port, self.admin_port) if self.admin_port else (self.port,)

    @property
    def engine_timeout_seconds(self) -> float:
        """The time limit of a request. In batch and asynchronous inference it is the platform's."""
        longest = contract.ASYNC_TIMEOUT_SECONDS if self.asynchronous else 0
        return max(self.request_timeout_seconds, longest, contract.BATCH_TIMEOUT_SECONDS if self.batch else 0)

    @property
    def queue_limit_seconds(self) -> float:
        """The longest wait in the queue. In asynchronous inference a refusal is final, so every request may wait."""
        return self.engine_timeout_seconds if self.asynchronous else self.max_queue_seconds

    @property
    def can_streams_wait(self) -> bool:
        """Whether JSON Lines may have any size, and are accepted however long the queue is."""
        return self.batch or self.asynchronous

    def payload_limit_mb(self, *, is_json_lines: bool) -> int | None:
        """Return the limit on the size of a request body in MiB, or None if there is no limit.

        Batch transform and asynchronous inference have no limit for JSON Lines, because the server reads such a body as
        a stream.
        """
        return None if is_json_lines and self.can_streams_wait else self.max_payload_mb or None

    @classmethod
    def from_env(cls) -> "Settings":
        """Read the settings from the environment.

        Raises: SettingsError with one line that names the variable, its value and what is expected.
        """
        return environment.read(cls)


def variable_names(field_name: str) -> list[str]:
    """Return the environment variables of a setting. If several are set, the first one in this list wins."""
    return environment.variable_names(Settings.model_fields[field_name])
