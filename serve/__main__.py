"""`python -m serve`: read the settings, the CPU and the artifact, then run gunicorn; or show a plan and start nothing.

What cannot work ends here, before the port opens, with one line that says what to do. The exit code is 78 for bad
settings, 69 for an unsupported CPU, 70 for an unusable artifact or model, 75 if lanes cannot be
started for a minute, and gunicorn's own otherwise.
"""

import logging
import os
import signal
import sys
from typing import Any

from container import contract, cpu, gunicorn_conf, log_config, model_dir, privileges
from container.access.api_keys import ApiKeys, read_api_keys
from container.access.trusted_keys import TrustedKeys, read_trusted_keys
from container.cpu import Cpu, CpuUnsupported
from container.settings import Settings
from container.validation.environment import SettingsError
from model_loader import artifact
from model_loader.artifact import Artifact
from model_loader.errors import ModelLoadError
from serve import arguments

log = logging.getLogger("serve")


def main() -> int:
    """Do what the command line says; return the exit code."""
    parsed = arguments.parse(sys.argv[1:])
    if not parsed.plan:
        return run_server()
    from serve.sizing import print_plan

    return print_plan(parsed)


def run_server() -> int:
    """Run the server; return its exit code when it has stopped."""
    # As process 1 of a container, this process would ignore SIGTERM until gunicorn handles it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        settings = Settings.from_env()
        # While this process may still run as root: only root need be able to read the files.
        keys, trusted = read_api_keys(settings), read_trusted_keys(settings)
        gunicorn_conf.check_address(settings)
    except SettingsError as error:
        log_config.configure("INFO")
        log.error("cannot start: %s", error)
        return contract.EXIT_SETTINGS
    log_config.configure(settings.log_level)
    log.info("settings", extra={"settings": settings.model_dump(mode="json")})
    is_default = "model_dir" not in settings.model_fields_set and not settings.multi_model
    directory = model_dir.choose(settings.model_dir, is_default)
    if settings.run_as_user:
        privileges.drop(settings.run_as_user, model_dir.of_many_models() if settings.multi_model else directory)
    try:
        gunicorn_conf.check_address(settings)  # again, because this process may run as another user now
        gunicorn_conf.wait_for_ports(settings)
        box = cpu.detect(settings.onednn_max_cpu_isa)
        model = None
        if not settings.multi_model:
            model = artifact.open_artifact(directory, settings.precisions, box, trusted)
    except SettingsError as error:
        log.error("cannot start: %s", error)
        return contract.EXIT_SETTINGS
    except CpuUnsupported as error:
        log.error("cannot start: %s", error)
        return contract.EXIT_CPU
    except ModelLoadError as error:
        log.error("cannot start: %s", error)
        return contract.EXIT_ARTIFACT
    return _run_gunicorn(settings, keys, trusted, model, box)


def _run_gunicorn(
    settings: Settings, keys: ApiKeys | None, trusted: TrustedKeys | None, model: Artifact | None, box: Cpu
) -> int:
    from gunicorn.app.base import BaseApplication
    from gunicorn.arbiter import Arbiter

    from serve.gunicorn_worker import LOST_PROCESSES, HttpWorker

    class Application(BaseApplication):  # type: ignore[misc]  # gunicorn ships no types
        def load_config(self) -> None:
            for name, value in gunicorn_conf.options(settings, HttpWorker).items():
                self.cfg.set(name, value)

        def load(self) -> Any:
            """Return the ASGI app. gunicorn calls this in the worker, after the fork."""
            from serve.api.app import create_app
            from serve.lifecycle import Lifecycle
            from serve.multi_model.app import create_multi_model_app
            from serve.multi_model.registry import ModelRegistry

            if model is None:
                return create_multi_model_app(ModelRegistry(settings, box, trusted), keys)
            try:
                return create_app(Lifecycle(settings, model, box), keys)
            except ModelLoadError as error:
                log.error("cannot start: %s", error)
                sys.exit(Arbiter.WORKER_BOOT_ERROR)

    master = os.getpid()
    try:
        Application().run()
    except SystemExit as stop:
        if os.getpid() != master:
            raise  # this is a worker's exit, whose code gunicorn must see
        codes = {Arbiter.WORKER_BOOT_ERROR: contract.EXIT_ARTIFACT, LOST_PROCESSES: contract.EXIT_NO_LANES}
        return codes.get(stop.code, int(stop.code or 0))
    return 0


if __name__ == "__main__":
    sys.exit(main())
