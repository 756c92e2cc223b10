"""The settings that say who may use the server, and under which names the platforms reach it.

container/settings.py reads them from the environment, together with all others.
"""

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode

from container.validation import routes, values


class AccessSettings(BaseSettings):
    """A part of the server's settings."""

    api_key_file: str = Field(
        "",
        validation_alias="API_KEY_FILE",
        description="The path of a file with API keys, one on each line. A request then needs the header "
        "`Authorization: Bearer KEY` with one of these keys. If it is empty, the server does not authenticate its "
        "clients. SageMaker and Vertex AI authenticate callers themselves and cannot send a key.",
    )
    ping_without_key: bool = Field(
        True,
        validation_alias="PING_WITHOUT_KEY",
        description="Lets `/ping`, `/health` and the route in `AIP_HEALTH_ROUTE` answer without an API key, because "
        "load balancers and probes often cannot send one.",
    )
    metrics_without_key: bool = Field(
        True,
        validation_alias="METRICS_WITHOUT_KEY",
        description="Lets `/metrics` answer without an API key.",
    )
    trusted_key: str = Field(
        "",
        validation_alias="TRUSTED_KEY",
        description="The path of a PEM file with Ed25519 public keys. The server then loads only artifacts that were "
        "signed with one of the private keys (`python -m tools.sign`). If it is empty, signatures are not looked at.",
    )
    docs: bool = Field(
        True,
        validation_alias="DOCS",
        description="Serves the documentation of the API at `/docs`, and its description at `/openapi.json`. With "
        "`false`, both paths get status 404.",
    )
    cors_allow_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(values.split_origins)] = Field(
        (),
        validation_alias="CORS_ALLOW_ORIGINS",
        description="Web pages of these origins may read the answers of the server: a list such as "
        "`https://a.example,http://localhost:3000`, or `*` for all. If it is empty, browsers let only the server's own "
        "page read them.",
    )
    model_name: Annotated[str, AfterValidator(values.model_name)] = Field(
        "bert-qa",
        validation_alias="MODEL_NAME",
        description="The model has this name under `/v1/models`. In KServe, it is the name of the InferenceService.",
    )
    health_route: Annotated[str, AfterValidator(routes.health_route)] = Field(
        "",
        validation_alias="AIP_HEALTH_ROUTE",
        description="The server answers this path like `/ping`. Vertex AI sets it.",
    )
    predict_route: str = Field(
        "",
        validation_alias="AIP_PREDICT_ROUTE",
        description="The server answers this path like `/invocations`. Vertex AI sets it.",
    )

    @field_validator("predict_route")
    @classmethod
    def _check_predict_route(cls, path: str, info: ValidationInfo) -> str:
        """Check the path after the fields above. The path of health checks may be open, and this one must not be."""
        if path and path == info.data.get("health_route"):
            raise ValueError("must be another path than AIP_HEALTH_ROUTE")
        return routes.predict_route(path, info.data.get("model_name", ""))
