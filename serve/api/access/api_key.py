"""Check that a request has an API key, before anything else is read of it."""

from starlette.types import Scope

from container.access.api_keys import ApiKeys
from container.settings import Settings
from container.validation.routes import ANSWERING_ROUTES, HEALTH_ROUTES
from serve.errors import NotAuthenticated

AUTHORIZATION = b"authorization"
HOW = "send the header Authorization: Bearer KEY"
# RFC 6750, section 3: a request without a key gets no error code.
NO_KEY = NotAuthenticated(f"this request has no API key; {HOW}", "Bearer")
WRONG_KEY = NotAuthenticated(
    f"this request has no API key that this server accepts; {HOW}", 'Bearer error="invalid_token"'
)


class ApiKeyCheck:
    """Refuses every request without an API key, except those for the paths that the settings exempt."""

    def __init__(self, keys: ApiKeys, settings: Settings) -> None:
        self._keys = keys
        exempt = {"/metrics"} if settings.metrics_without_key else set()
        if settings.ping_without_key:
            exempt |= {*HEALTH_ROUTES, settings.health_route}
        self.exempt = frozenset(exempt) - {*ANSWERING_ROUTES, settings.predict_route}

    def refusal(self, scope: Scope) -> NotAuthenticated | None:
        """Return the error of a request that has no key and needs one. A request with two of the headers has none."""
        if scope["path"] in self.exempt:
            return None
        values = [value for name, value in scope["headers"] if name == AUTHORIZATION]
        if not values:
            return NO_KEY
        return None if len(values) == 1 and self._keys.accept(values[0]) else WRONG_KEY
