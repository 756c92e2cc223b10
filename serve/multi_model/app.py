"""SageMaker's API of a multi-model endpoint: load, list, unload and invoke models.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/mms-container-apis.html
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from container.access.api_keys import ApiKeys
from serve.api.app import AnsweringApp, new_app
from serve.api.body.parse import parse_as
from serve.api.body.read import read
from serve.api.invocation import Invocation
from serve.api.media_type import JSON, field_of, request_media_type
from serve.api.model_schemas import LoadRequest
from serve.api.openapi import operations
from serve.errors import PayloadTooLarge, UnsupportedMediaType
from serve.multi_model import info as report
from serve.multi_model.registry import ModelRegistry

LOAD_EXAMPLE = '{"model_name": "...", "url": "/opt/ml/models/.../model"}'
LOAD_BYTES = 65_536  # of the body of a load, which holds a name and a path


def create_multi_model_app(models: ModelRegistry, keys: ApiKeys | None = None) -> AnsweringApp:
    """Create the application of a multi-model endpoint. keys: None if every client may load models and ask."""

    async def invoke(request: Request) -> Response:
        """Answer questions with one model, as /invocations does on an endpoint with one model only."""
        name: str = request.path_params["model_name"]
        with models.find(name).in_use() as lifecycle:
            return await Invocation(lifecycle, request, name).respond()

    title = "BERT question answering on CPU: many models"
    answering = [Route("/models/{model_name}/invoke", invoke, methods=["POST"])]
    app = new_app(title, models, answering, lambda: report.info(models), lambda accept: report.metrics(models, accept))

    @app.post(
        "/models",
        tags=["models"],
        response_class=Response,
        openapi_extra=operations.LOAD_BODY,
        responses=operations.LOAD_RESPONSES,
    )
    async def load(request: Request) -> Response:
        """Load a model from a directory. The response is sent when the model can answer."""
        _check_media_type(request)
        wanted = parse_as(LoadRequest, await _read(request), LOAD_EXAMPLE)
        await models.load(wanted.model_name, wanted.url)
        return Response()

    @app.get("/models", tags=["models"], response_model=None, responses=operations.MODELS_RESPONSES)
    async def list_models(next_page_token: str = "") -> dict[str, object]:
        """List the models that are loaded, page by page."""
        return report.page(((model.name, model.url) for model in models), next_page_token)

    @app.get("/models/{model_name}", tags=["models"], response_model=None, responses=operations.MODEL_RESPONSES)
    async def get(model_name: str) -> dict[str, str]:
        """Return one model that is loaded."""
        return report.entry(model_name, models.find(model_name).url)

    @app.delete("/models/{model_name}", tags=["models"], response_class=Response, responses=operations.UNLOAD_RESPONSES)
    async def unload(model_name: str) -> Response:
        """Unload a model. When the response is sent, its processes have ended and its memory is free."""
        await models.unload(model_name)
        return Response()

    return AnsweringApp(app, answering, keys)


def _check_media_type(request: Request) -> None:
    """Check that the body of a load is JSON. The platform says so: its page has Content-Type: application/json.

    Raises: UnsupportedMediaType.
    """
    headers = request.headers
    if request_media_type(field_of(headers, "content-type"), field_of(headers, "content-encoding")) != JSON:
        raise UnsupportedMediaType(f"a load is one JSON object; send it as {JSON}")


async def _read(request: Request) -> bytes:
    """Return the body of a load.

    Raises: PayloadTooLarge, as soon as the limit is passed.
    """
    body = bytearray()
    async for piece in read(request, None):
        body += piece
        if len(body) > LOAD_BYTES:
            raise PayloadTooLarge(f"the body is larger than {LOAD_BYTES} bytes; send only model_name and url")
    return bytes(body)
