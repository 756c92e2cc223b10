"""The settings of logs and traces. container/settings.py reads them from the environment, together with all others."""

from typing import Annotated, Literal

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field
from pydantic_settings import BaseSettings

from container.validation import values

LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(values.level_name)]


class TelemetrySettings(BaseSettings):
    """A part of the server's settings."""

    log_level: LogLevel = Field(
        "INFO",
        validation_alias=AliasChoices("LOG_LEVEL", "SAGEMAKER_CONTAINER_LOG_LEVEL"),
        description="The server logs messages of this level and above: `DEBUG`, `INFO`, `WARNING` or `ERROR`, or "
        "Python's number for one of them. `DEBUG` adds a line for each step of a request.",
    )
    otlp_endpoint: Annotated[str, AfterValidator(values.http_url)] = Field(
        "",
        validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        description="The server sends traces to the OpenTelemetry collector at this address, such as "
        "`http://localhost:4318`, by OTLP over HTTP. If the address is empty, the server sends no traces.",
    )
    trace_share: float = Field(
        0.1,
        ge=0,
        le=1,
        validation_alias="OTEL_TRACES_SAMPLER_ARG",
        description="The server traces this share of the requests, 0 to 1. For a request with a valid header "
        "`traceparent`, the header decides instead.",
    )
    service_name: str = Field(
        "bert-qa",
        min_length=1,
        validation_alias="OTEL_SERVICE_NAME",
        description="Traces show the server under this name.",
    )
