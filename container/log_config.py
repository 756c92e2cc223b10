"""Configure logging: every log line on stdout is one JSON object, which both `jq` and CloudWatch can read."""

import logging.config
import sys
from typing import Any

from pythonjsonlogger.orjson import OrjsonFormatter


def at_level(level: str) -> dict[str, Any]:
    """Return the configuration for logging.config.dictConfig, with the root logger at this level."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": OrjsonFormatter,
                "fmt": "%(asctime)s %(levelname)s %(name)s %(message)s",
                "rename_fields": {"asctime": "time", "levelname": "level", "name": "logger"},
            }
        },
        "handlers": {"stdout": {"()": logging.StreamHandler, "stream": sys.stdout, "formatter": "json"}},
        "root": {"level": level, "handlers": ["stdout"]},
        # gunicorn and uvicorn log through the root logger, so that their lines have the same format and appear once.
        # Their access logs are off, because the server writes its own line for each request.
        "loggers": {
            "gunicorn.error": {"level": "INFO", "propagate": True, "handlers": []},
            "gunicorn.access": {"level": "WARNING", "propagate": False, "handlers": []},
            "uvicorn.error": {"level": "WARNING", "propagate": True, "handlers": []},
            "uvicorn.access": {"level": "WARNING", "propagate": False, "handlers": []},
        },
    }


def configure(level: str) -> None:
    """Set up logging for this process, with the root logger at this level."""
    logging.config.dictConfig(at_level(level))
