"""Environment variables become settings: their names and precedence, how they are parsed, and what is refused."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from container.settings import Settings, variable_names
from container.validation.environment import SettingsError

# A variable, its text, the field that it sets, and the value of the field.
GOOD: list[tuple[str, str, str, Any]] = [
    ("MODEL_DIR", "/models/mine", "model_dir", Path("/models/mine")),
    ("HOST", "127.0.0.1", "host", "127.0.0.1"),
    ("SAGEMAKER_BIND_TO_PORT", "9001", "port", 9001),
    ("AIP_HTTP_PORT", "9003", "port", 9003),
    ("PORT", "9002", "port", 9002),
    ("ADMIN_PORT", "9004", "admin_port", 9004),
    ("PRECISIONS", "FP32", "precisions", ("FP32",)),
    ("REQUEST_TIMEOUT_SECONDS", "2.5", "request_timeout_seconds", 2.5),
    ("SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS", "30", "request_timeout_seconds", 30.0),
    ("SAGEMAKER_MODEL_SERVER_TIMEOUT", "40", "request_timeout_seconds", 40.0),
    ("MAX_QUEUE_SECONDS", "0.5", "max_queue_seconds", 0.5),
    ("MAX_PAYLOAD_MB", "3", "max_payload_mb", 3),
    ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "4", "max_payload_mb", 4),
    ("NARROW_LANES", "5", "narrow_lanes", 5),
    ("SAGEMAKER_MODEL_SERVER_WORKERS", "6", "narrow_lanes", 6),
    ("WIDE_LANE", "false", "wide_lane", False),
    ("MAX_BATCH_WINDOWS", "2", "max_batch_windows", 2),
    ("BACKGROUND_LANES", "false", "background_lanes", False),
    ("GUARD_SHARE", "0.5", "guard_share", 0.5),
    ("GUARD_MIN_AGREEMENT", "0.9", "guard_min_agreement", 0.9),
    ("NO_ANSWER_THRESHOLD", "-1.5", "no_answer_threshold", -1.5),
    ("DEFAULT_TASK", "highlight", "default_task", "highlight"),
    ("HIGHLIGHT_THRESHOLD", "0.25", "highlight_threshold", 0.25),
    ("HIGHLIGHT_OFFSET_UNIT", "bytes", "highlight_offset_unit", "bytes"),
    ("SAGEMAKER_BATCH", "True", "batch", True),
    ("ASYNC_INFERENCE", "true", "asynchronous", True),
    ("SAGEMAKER_MULTI_MODEL", "true", "multi_model", True),
    ("PAGE", "false", "page", False),
    ("RUN_AS_USER", "10001", "run_as_user", 10001),
    ("RUNG_STEP", "64", "rung_step", 64),
    ("MAX_BODIES_MB", "32", "max_bodies_mb", 32),
    ("MAX_ITEMS", "7", "max_items", 7),
    ("MAX_CHARACTERS", "900", "max_characters", 900),
    ("MAX_SPOOL_MB", "8", "max_spool_mb", 8),
    ("MAX_CONNECTIONS", "50", "max_connections", 50),
    ("KEEP_ALIVE_SECONDS", "3.5", "keep_alive_seconds", 3.5),
    ("API_KEY_FILE", "/keys", "api_key_file", "/keys"),
    ("PING_WITHOUT_KEY", "false", "ping_without_key", False),
    ("METRICS_WITHOUT_KEY", "false", "metrics_without_key", False),
    ("TRUSTED_KEY", "/keys/trusted.pem", "trusted_key", "/keys/trusted.pem"),
    ("DOCS", "false", "docs", False),
    ("CORS_ALLOW_ORIGINS", "https://a.example", "cors_allow_origins", ("https://a.example",)),
    ("MODEL_NAME", "squad-2", "model_name", "squad-2"),
    ("AIP_HEALTH_ROUTE", "/v1/endpoints/1/deployedModels/2", "health_route", "/v1/endpoints/1/deployedModels/2"),
    ("AIP_PREDICT_ROUTE", "/v1/endpoints/1:predict", "predict_route", "/v1/endpoints/1:predict"),
    ("LOG_LEVEL", "DEBUG", "log_level", "DEBUG"),
    ("SAGEMAKER_CONTAINER_LOG_LEVEL", "ERROR", "log_level", "ERROR"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://[::1]:4318/otlp", "otlp_endpoint", "http://[::1]:4318/otlp"),
    ("OTEL_TRACES_SAMPLER_ARG", "0.5", "trace_share", 0.5),
    ("OTEL_SERVICE_NAME", "answers", "service_name", "answers"),
    ("ONEDNN_MAX_CPU_ISA", "AVX2", "onednn_max_cpu_isa", "AVX2"),
]

# The variable that wins if both are set, and the one that loses.
PRECEDENCE = [
    ("SAGEMAKER_BIND_TO_PORT", "AIP_HTTP_PORT"),
    ("AIP_HTTP_PORT", "PORT"),
    ("REQUEST_TIMEOUT_SECONDS", "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS"),
    ("REQUEST_TIMEOUT_SECONDS", "SAGEMAKER_MODEL_SERVER_TIMEOUT"),
    ("SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS", "SAGEMAKER_MODEL_SERVER_TIMEOUT"),
    ("MAX_PAYLOAD_MB", "SAGEMAKER_MAX_PAYLOAD_IN_MB"),
    ("NARROW_LANES", "SAGEMAKER_MODEL_SERVER_WORKERS"),
    ("LOG_LEVEL", "SAGEMAKER_CONTAINER_LOG_LEVEL"),
]

BAD = [
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:secret@localhost:4318"),
    ("OTEL_TRACES_SAMPLER_ARG", "2"),
    ("SAGEMAKER_BIND_TO_PORT", "abc"),
    ("SAGEMAKER_BIND_TO_PORT", "0"),
    ("SAGEMAKER_BIND_TO_PORT", "65536"),
    ("PORT", "abc"),
    ("PRECISIONS", "INT4"),
    ("PRECISIONS", "INT8,"),
    ("PRECISIONS", "INT8 FP32"),
    ("PRECISIONS", "auto,FP32"),
    ("REQUEST_TIMEOUT_SECONDS", "0"),
    ("REQUEST_TIMEOUT_SECONDS", "nan"),
    ("REQUEST_TIMEOUT_SECONDS", "inf"),
    ("SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS", "soon"),
    ("SAGEMAKER_MODEL_SERVER_TIMEOUT", "soon"),
    ("MAX_QUEUE_SECONDS", "-1"),
    ("MAX_PAYLOAD_MB", "-1"),
    ("MAX_PAYLOAD_MB", "1.5"),
    ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "2000"),
    ("NARROW_LANES", "0"),
    ("NARROW_LANES", "many"),
    ("SAGEMAKER_MODEL_SERVER_WORKERS", "-1"),
    ("WIDE_LANE", "maybe"),
    ("MAX_BATCH_WINDOWS", "0"),
    ("PAGE", "off?"),
    ("BACKGROUND_LANES", "some"),
    ("GUARD_SHARE", "1.5"),
    ("RUN_AS_USER", "nobody"),
    ("GUARD_MIN_AGREEMENT", "80"),
    ("NO_ANSWER_THRESHOLD", "nan"),
    ("DEFAULT_TASK", "summarization"),
    ("HIGHLIGHT_THRESHOLD", "1.5"),
    ("HIGHLIGHT_THRESHOLD", "nan"),
    ("HIGHLIGHT_OFFSET_UNIT", "words"),
    ("NO_ANSWER_THRESHOLD", "high"),
    ("RUNG_STEP", "4"),
    ("MAX_BODIES_MB", "0"),
    ("MAX_ITEMS", "0"),
    ("MAX_CHARACTERS", "0"),
    ("MAX_SPOOL_MB", "0"),
    ("MAX_CONNECTIONS", "0"),
    ("KEEP_ALIVE_SECONDS", "0"),
    ("PING_WITHOUT_KEY", "perhaps"),
    ("METRICS_WITHOUT_KEY", "perhaps"),
    ("DOCS", "none"),
    *(
        ("CORS_ALLOW_ORIGINS", origins)
        for origins in (
            "a.example",
            "https://a.example/",
            "https://",
            "*,https://a.example",
            "https://a.example,",
            "null",
        )
    ),
    ("MODEL_NAME", "a/b"),
    ("MODEL_NAME", "a:predict"),
    ("MODEL_NAME", "m" * 64),
    *(
        ("AIP_HEALTH_ROUTE", path)
        for path in ("health", "/a?b", "/{a}", "/%41", "/invocations", "/", "/info", "/docs", "/v1/models/a", "/models")
    ),
    *(
        ("AIP_PREDICT_ROUTE", path)
        for path in ("predict", "/a b", "/ping", "/health", "/metrics", "/openapi.json", "/v1/models/a:predict")
    ),
    ("LOG_LEVEL", "loud"),
    ("LOG_LEVEL", "15"),
    ("SAGEMAKER_CONTAINER_LOG_LEVEL", "loud"),
    ("ONEDNN_MAX_CPU_ISA", "AVX1024"),
]
PYDANTICS_WORDS = re.compile(r"Input|valid|Value error|unable|parse|Field|should", re.IGNORECASE)


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove every variable of a setting from the environment."""
    ours = {name.lower() for field in Settings.model_fields for name in variable_names(field)}
    for name in list(os.environ):
        if name.lower() in ours:
            monkeypatch.delenv(name)


def test_the_defaults_suit_the_platform() -> None:
    settings = Settings.from_env()
    assert settings.port == 8080
    assert settings.host == "0.0.0.0"
    assert settings.model_dir == Path("/opt/ml/model")
    assert settings.request_timeout_seconds == 55
    assert settings.max_payload_mb == 25
    assert settings.precisions is None
    assert settings.narrow_lanes is None
    assert settings.wide_lane is True
    assert settings.log_level == "INFO"


@pytest.mark.parametrize(("variable", "text", "field", "value"), GOOD, ids=[row[0] for row in GOOD])
def test_a_variable_sets_its_field_and_no_other(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, field: str, value: object
) -> None:
    defaults = Settings.from_env().model_dump()
    monkeypatch.setenv(variable, text)
    assert Settings.from_env().model_dump() == {**defaults, field: value}
    assert value != defaults[field]


def test_the_open_path_of_health_checks_cannot_answer_questions_too(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("AIP_HEALTH_ROUTE", "AIP_PREDICT_ROUTE"):
        monkeypatch.setenv(variable, "/v1/endpoints/7")
    with pytest.raises(
        SettingsError, match="AIP_PREDICT_ROUTE='/v1/endpoints/7': must be another path than AIP_HEALTH_ROUTE"
    ):
        Settings.from_env()


@pytest.mark.parametrize("path", ["/v1/models/bert-qa:predict", "/modelserver", "/documents"])
def test_a_platform_may_choose_a_path_that_the_server_has_for_this_or_not_at_all(
    monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setenv("AIP_PREDICT_ROUTE", path)
    assert Settings.from_env().predict_route == path


def test_every_variable_has_a_row_in_these_tests() -> None:
    assert {row[0] for row in GOOD} == {name for field in Settings.model_fields for name in variable_names(field)}


@pytest.mark.parametrize(("winner", "loser"), PRECEDENCE)
def test_one_of_two_names_for_a_setting_wins(monkeypatch: pytest.MonkeyPatch, winner: str, loser: str) -> None:
    rows = {row[0]: row for row in GOOD}
    for name in (loser, winner):
        monkeypatch.setenv(name, rows[name][1])
    _, _, field, value = rows[winner]
    assert getattr(Settings.from_env(), field) == value


def test_the_order_of_a_settings_names_is_the_order_of_precedence() -> None:
    assert variable_names("port") == ["SAGEMAKER_BIND_TO_PORT", "AIP_HTTP_PORT", "PORT"]
    assert variable_names("host") == ["HOST"]


@pytest.mark.parametrize(
    ("text", "precisions"),
    [
        ("auto", None),
        (" Auto ", None),
        ("INT8", ("INT8",)),
        ("int8,fp32", ("INT8", "FP32")),
        (" Fp32 , bF16 ", ("BF16", "FP32")),
        ("FP32,BF16,INT8", ("INT8", "BF16", "FP32")),
        ("FP32,fp32", ("FP32",)),
    ],
)
def test_precisions_are_auto_or_a_list_in_order_of_preference(
    monkeypatch: pytest.MonkeyPatch, text: str, precisions: tuple[str, ...] | None
) -> None:
    monkeypatch.setenv("PRECISIONS", text)
    assert Settings.from_env().precisions == precisions


@pytest.mark.parametrize(
    ("text", "origins"),
    [
        ("*", ("*",)),
        (" * ", ("*",)),
        ("https://A.example, http://localhost:3000", ("https://a.example", "http://localhost:3000")),
        ("http://[::1]:8000,app://local", ("http://[::1]:8000", "app://local")),
    ],
)
def test_origins_are_a_list_or_all(monkeypatch: pytest.MonkeyPatch, text: str, origins: tuple[str, ...]) -> None:
    monkeypatch.setenv("CORS_ALLOW_ORIGINS", text)
    assert Settings.from_env().cors_allow_origins == origins


@pytest.mark.parametrize(
    ("variable", "path"),
    [("AIP_HEALTH_ROUTE", "/ping"), ("AIP_HEALTH_ROUTE", "/health"), ("AIP_PREDICT_ROUTE", "/invocations")],
)
def test_a_platform_may_choose_a_route_that_the_server_has(
    monkeypatch: pytest.MonkeyPatch, variable: str, path: str
) -> None:
    monkeypatch.setenv(variable, path)
    assert path in (Settings.from_env().health_route, Settings.from_env().predict_route)


@pytest.mark.parametrize("variable", ["LOG_LEVEL", "SAGEMAKER_CONTAINER_LOG_LEVEL"])
@pytest.mark.parametrize(
    ("text", "level"),
    [("10", "DEBUG"), ("20", "INFO"), ("30", "WARNING"), ("40", "ERROR"), ("50", "ERROR"), ("warning", "WARNING")],
)
def test_a_log_level_is_a_name_in_any_case_or_pythons_number(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, level: str
) -> None:
    monkeypatch.setenv(variable, text)
    assert Settings.from_env().log_level == level


@pytest.mark.parametrize("text", ["auto", "AUTO"])
def test_automatic_lanes_win_over_sagemakers_number_of_workers(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("SAGEMAKER_MODEL_SERVER_WORKERS", "3")
    monkeypatch.setenv("NARROW_LANES", text)
    assert Settings.from_env().narrow_lanes is None


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = Settings.from_env()
    for variable, *_ in GOOD:
        monkeypatch.setenv(variable, "")
    assert Settings.from_env() == defaults


def test_an_empty_variable_leaves_its_setting_to_the_next_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGEMAKER_BIND_TO_PORT", "")
    monkeypatch.setenv("PORT", "9002")
    assert Settings.from_env().port == 9002


@pytest.mark.parametrize(("variable", "text"), BAD)
def test_a_bad_value_is_refused_in_one_line_that_names_the_variable_that_is_set(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str
) -> None:
    monkeypatch.setenv(variable, text)
    with pytest.raises(SettingsError) as caught:
        Settings.from_env()
    message = str(caught.value)
    assert "\n" not in message
    assert text.lower() in message.lower()
    assert message.startswith(f"{variable}=")
    assert "must be" in message
    assert not PYDANTICS_WORDS.search(message.partition(": ")[2])


@pytest.mark.parametrize("spelling", ["port", "Port", "sagemaker_bind_to_port"])
def test_a_variable_is_named_as_it_is_spelled(monkeypatch: pytest.MonkeyPatch, spelling: str) -> None:
    monkeypatch.setenv(spelling, "abc")
    with pytest.raises(SettingsError, match=f"^{spelling}='abc': must be a whole number$"):
        Settings.from_env()


def test_of_several_spellings_the_one_that_is_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "9001")
    monkeypatch.setenv("port", "abc")
    monkeypatch.setenv("Port", "")
    with pytest.raises(SettingsError, match="^port='abc'"):
        Settings.from_env()


def test_a_long_value_is_shortened_in_the_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "9" * 100_000)
    with pytest.raises(SettingsError) as caught:
        Settings.from_env()
    assert len(str(caught.value)) < 200


def test_a_value_that_is_not_utf8_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "model_dir", os.fsdecode(b"/models/\xff"))
    with pytest.raises(SettingsError, match=r"^model_dir='/models/\\udcff': must be a string in UTF-8$"):
        Settings.from_env()


def test_a_bad_value_under_a_name_that_loses_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGEMAKER_BIND_TO_PORT", "9001")
    monkeypatch.setenv("PORT", "tcp://10.0.0.1:80")  # Kubernetes sets this for a service named "port"
    assert Settings.from_env().port == 9001


def test_settings_are_frozen() -> None:
    settings = Settings.from_env()
    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 1  # type: ignore[misc]
    assert settings.port == 8080


def test_an_asynchronous_endpoint_may_use_the_hour_and_lets_every_request_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASYNC_INFERENCE", "true")
    settings = Settings.from_env()
    assert (settings.engine_timeout_seconds, settings.queue_limit_seconds) == (3600, 3600)
    assert settings.can_streams_wait
    limits = [settings.payload_limit_mb(is_json_lines=is_json_lines) for is_json_lines in (True, False)]
    assert limits == [None, 25]


def test_a_payload_of_zero_means_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """CreateTransformJob with MaxPayloadInMB=0 streams a body of any length."""
    assert Settings.from_env().payload_limit_mb(is_json_lines=True) == 25
    monkeypatch.setenv("SAGEMAKER_BATCH", "true")
    assert Settings.from_env().payload_limit_mb(is_json_lines=True) is None
    assert Settings.from_env().payload_limit_mb(is_json_lines=False) == 25
    monkeypatch.setenv("SAGEMAKER_MAX_PAYLOAD_IN_MB", "0")
    assert Settings.from_env().payload_limit_mb(is_json_lines=False) is None
