"""SageMaker's API of a multi-model endpoint: load, list, unload and invoke models.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/mms-container-apis.html
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serve.api import openapi, request_body
from serve.api.app import AnsweringApp, new_app
from serve.api.error_response import handle_request_error
from serve.api.invocation import Invocation
from serve.api.schemas import LoadRequest
from serve.errors import ModelNotLoaded
from serve.multi_model import info as report
from serve.multi_model.registry import ModelRegistry


def create_multi_model_app(models: ModelRegistry) -> AnsweringApp:
    """Create the application of a multi-model endpoint."""

    async def invoke(request: Request) -> Response:
        """Answer questions with one model, as /invocations does on an endpoint with one model only."""
        name: str = request.path_params["model_name"]
        try:
            model = models.find(name)
        except ModelNotLoaded as error:
            return await handle_request_error(request, error)
        with model.in_use() as lifecycle:
            return await Invocation(lifecycle, request, name).respond()

    title = "BERT question answering on CPU: many models"
    answering = Route("/models/{model_name}/invoke", invoke, methods=["POST"])
    app = new_app(title, models, answering, lambda: report.info(models), lambda: report.exposition(models))

    @app.post("/models", tags=["models"], openapi_extra=openapi.LOAD_BODY, responses=openapi.LOAD_RESPONSES)
    async def load(request: Request) -> Response:
        """Load a model from a directory. The response is sent when the model can answer."""
        wanted = request_body.parse_as(LoadRequest, await request.body())
        await models.load(wanted.model_name, wanted.url)
        return Response()

    @app.get("/models", tags=["models"])
    async def list_models(next_page_token: str = "") -> dict[str, object]:
        """List the models that are loaded, page by page."""
        return report.page(((model.name, model.url) for model in models), next_page_token)

    @app.get("/models/{model_name}", tags=["models"], responses=openapi.NOT_LOADED)
    async def get(model_name: str) -> dict[str, str]:
        """Return one model that is loaded."""
        return report.entry(model_name, models.find(model_name).url)

    @app.delete("/models/{model_name}", tags=["models"], responses=openapi.NOT_LOADED)
    async def unload(model_name: str) -> Response:
        """Unload a model. When the response is sent, its processes have ended and its memory is free."""
        await models.unload(model_name)
        return Response()

    openapi.describe(app)
    return AnsweringApp(app, answering)
