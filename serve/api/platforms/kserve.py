"""KServe's V1 protocol for the one model of a server: its routes, which also TensorFlow Serving has.

Source: https://kserve.github.io/website/docs/concepts/architecture/data-plane/v1-protocol
"""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import FastAPI, Path
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serve import errors
from serve.api.model_schemas import ModelNames, ReadyModel
from serve.api.openapi.operations import fails, returns
from serve.errors import ModelNotLoaded, NotReady
from serve.lifecycle import Lifecycle

MODEL = "/v1/models/{model_name:model}"


class ModelName(StringConvertor):
    """A name in a path. A colon ends it, because a verb such as `:predict` follows."""

    regex = "[^/:]+"


NAME = Path(json_schema_extra={"pattern": f"^{ModelName.regex}$"})
register_url_convertor("model", ModelName())


def predict_route(lifecycle: Lifecycle, answer: Callable[[Request], Awaitable[Response]]) -> Route:
    """Return the route that answers questions. answer: answers a request in any form."""

    async def predict(request: Request) -> Response:
        """Answer questions as /invocations does; KServe's own form is that of `instances`."""
        _check_name(lifecycle, request.path_params["model_name"])
        return await answer(request)

    return Route(f"{MODEL}:predict", predict, methods=["POST"])


def add_model_routes(app: FastAPI, lifecycle: Lifecycle) -> None:
    """Add the routes that describe the model."""

    @app.get(
        "/v1/models", tags=["models"], response_model=None, responses={**returns("the model", ModelNames), **fails()}
    )
    async def list_models() -> dict[str, list[str]]:
        """Return the name of the model, which the setting MODEL_NAME chooses."""
        return {"models": [lifecycle.settings.model_name]}

    @app.get(
        MODEL,
        tags=["models"],
        response_model=None,
        responses={
            **returns("the model can answer now", ReadyModel),
            **fails(errors.ModelNotLoaded, errors.NotReady),
        },
    )
    async def model_ready(model_name: Annotated[str, NAME]) -> dict[str, object]:
        """Say whether the model can answer now, as /ping does."""
        _check_name(lifecycle, model_name)
        if not lifecycle.ping():
            raise NotReady(f"the model cannot answer now (state: {lifecycle.state})")
        return {"name": model_name, "ready": True}


def _check_name(lifecycle: Lifecycle, name: str) -> None:
    if name != lifecycle.settings.model_name:
        raise ModelNotLoaded("this server has no model of this name; GET /v1/models returns its name (MODEL_NAME)")
