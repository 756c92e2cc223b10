"""Check the paths that a platform chooses for the routes of the server."""

import re

# RFC 3986, section 3.3, without percent-encoding: a request's path is decoded before it is compared.
PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@/-]*")
HEALTH_ROUTES = ("/ping", "/health")
ANSWERING_ROUTES = ("/invocations", "/")
ADMIN_ROUTES = ("/info", "/metrics")  # and /models, on the port in ADMIN_PORT
OTHER_ROUTES = (*ADMIN_ROUTES, "/execution-parameters", "/docs", "/openapi.json")
OTHER_FOLDERS = ("/v1/models", "/models", "/docs", "/static-offline-docs", "/page")  # and everything below
RULE = "must be a path such as {example}, without a query, of which the server makes no other use"


def health_route(path: str) -> str:
    """Check the path of a health check. It can be one that the server has for this purpose."""
    return _checked(path, ANSWERING_ROUTES, RULE.format(example="/health"))


def predict_route(path: str, model_name: str) -> str:
    """Check the path that answers questions. It can be one that the server has for this purpose."""
    if path == f"/v1/models/{model_name}:predict":
        return path
    return _checked(path, HEALTH_ROUTES, RULE.format(example="/predict"))


def _checked(path: str, taken: tuple[str, ...], rule: str) -> str:
    """Return a path that can be used, or "", which stands for no path."""
    is_below = any(path == folder or path.startswith(f"{folder}/") for folder in OTHER_FOLDERS)
    if path and (not PATH.fullmatch(path) or path in (*taken, *OTHER_ROUTES) or is_below):
        raise ValueError(rule)
    return path
