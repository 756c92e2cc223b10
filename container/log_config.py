"""One JSON object a line on stdout, for people with `jq` and for CloudWatch."""

from typing import Any

CONFIG: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {
            "()": "pythonjsonlogger.orjson.OrjsonFormatter",
            "fmt": "%(asctime)s %(levelname)s %(name)s %(message)s",
            "rename_fields": {"asctime": "time", "levelname": "level", "name": "logger"},
        }
    },
    "handlers": {"stdout": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "json"}},
    "root": {"level": "INFO", "handlers": ["stdout"]},
    # gunicorn and uvicorn log through the root: one format, each line once. Requests have a log line of our own.
    "loggers": {
        "gunicorn.error": {"level": "INFO", "propagate": True, "handlers": []},
        "gunicorn.access": {"level": "WARNING", "propagate": False, "handlers": []},
        "uvicorn.error": {"level": "WARNING", "propagate": True, "handlers": []},
        "uvicorn.access": {"level": "WARNING", "propagate": False, "handlers": []},
    },
}


def at_level(level: str) -> dict[str, Any]:
    """The configuration with its root at this level."""
    return {**CONFIG, "root": {**CONFIG["root"], "level": level}}


def configure(level: str) -> None:
    """Set up logging for this process."""
    import logging.config

    logging.config.dictConfig(at_level(level))
