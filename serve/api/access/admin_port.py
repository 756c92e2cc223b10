"""Let each route be reached on one port only, if the server has an admin port (ADMIN_PORT)."""

from starlette.types import Scope

from container.validation.routes import ADMIN_ROUTES, HEALTH_ROUTES
from serve.errors import NotFound

MODELS = "/models"
ON_ADMIN_PORT = NotFound("this port has no such route; the port in ADMIN_PORT has it")
ON_PUBLIC_PORT = NotFound(
    f"this is the port in ADMIN_PORT, which has only {', '.join((*ADMIN_ROUTES, *HEALTH_ROUTES))}, and {MODELS} on a "
    "multi-model endpoint"
)


class AdminPort:
    """Knows which port a request came to, and which one its path belongs to. Health checks belong to both."""

    def __init__(self, port: int) -> None:
        self._port = port

    def refusal(self, scope: Scope) -> NotFound | None:
        """Return the error of a request that came to the other port."""
        path: str = scope["path"]
        is_admin = scope["server"][1] == self._port
        if path in HEALTH_ROUTES or is_admin == _is_for_admins(path):
            return None
        return ON_PUBLIC_PORT if is_admin else ON_ADMIN_PORT


def _is_for_admins(path: str) -> bool:
    """Whether a path describes the server, or loads and unloads models. `/models/NAME/invoke` asks questions."""
    _, first, *more = path.split("/")
    return path in ADMIN_ROUTES or (f"/{first}" == MODELS and len(more) <= 1)
