"""A login to a registry for one command, which leaves the user's own credentials alone.

`docker login` stores the password in the user's files, and fails where a credential helper is configured that stores
nothing: https://github.com/awslabs/amazon-ecr-credential-helper/issues/102. Therefore the password is put into a
temporary copy of docker's configuration, which podman reads as well.
"""

import base64
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tools.errors import ToolError

# Helpers would be asked instead of the password in the file.
_CREDENTIALS = ("auths", "credsStore", "credHelpers")


@contextmanager
def temporary_login(registry: str, user: str, password: str) -> Iterator[dict[str, str]]:
    """Yield environment variables with which docker and podman use this password for the registry.

    Everything else in the user's configuration, such as proxies and contexts, stays as it is.

    Raises: ToolError if docker's configuration is not JSON.
    """
    own = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    with TemporaryDirectory() as folder:  # only the owner may read it
        temporary = Path(folder)
        if own.is_dir():
            for path in own.iterdir():
                if path.name != "config.json":
                    (temporary / path.name).symlink_to(path.resolve())
        config = {key: value for key, value in _read(own / "config.json").items() if key not in _CREDENTIALS}
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        file = temporary / "config.json"
        file.write_text(json.dumps({**config, "auths": {registry: {"auth": token}}}))
        yield {**os.environ, "DOCKER_CONFIG": folder, "REGISTRY_AUTH_FILE": str(file)}


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text()))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError) as error:
        raise ToolError(f"{path} cannot be used: {error}. Correct docker's configuration, or remove the file") from None
