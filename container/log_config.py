"""Configure logging: every log line on stdout is one JSON object, which both `jq` and CloudWatch can read."""

import logging.config
import sys
from typing import Any

from pythonjsonlogger.core import LogData
from pythonjsonlogger.orjson import OrjsonFormatter

FIELD_CHARACTERS = 8192  # of each text in a line; a longer one loses its middle


class BoundedFormatter(OrjsonFormatter):
    """Writes each line as a JSON object and shortens long texts in it, whoever chose them."""

    def jsonify_log_record(self, log_data: LogData) -> str:
        """Write a line. A line that is short has no text that is too long."""
        line: str = super().jsonify_log_record(log_data)
        if len(line) <= FIELD_CHARACTERS:
            return line
        return str(super().jsonify_log_record({name: _shortened(value) for name, value in log_data.items()}))


def _shortened(value: Any) -> Any:
    """Shorten a text. The end of a traceback says more than its middle, so the end stays."""
    if not isinstance(value, str) or len(value) <= FIELD_CHARACTERS:
        return value
    half = FIELD_CHARACTERS // 2
    return f"{value[:half]} ... {value[-half:]}"


def at_level(level: str) -> dict[str, Any]:
    """Return the configuration for logging.config.dictConfig, with the root logger at this level."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": BoundedFormatter,
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
            # serve/tracing/otlp.py says once that a collector does not answer; these would say so for each batch.
            "opentelemetry": {"level": "CRITICAL", "propagate": True, "handlers": []},
            "urllib3": {"level": "CRITICAL", "propagate": True, "handlers": []},
            "asyncio": {"level": "INFO", "propagate": True, "handlers": []},
        },
    }


def configure(level: str) -> None:
    """Set up logging for this process, with the root logger at this level."""
    # No line shows what these look up for each record ("Optimization" in the logging HOWTO of Python's documentation).
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None
    logging.config.dictConfig(at_level(level))
