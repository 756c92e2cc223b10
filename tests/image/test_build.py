"""The image has the right content and the right metadata."""

import json
import subprocess

from tests.image.engine import ENGINE, IMAGE, Container, engine, run_image
from tools.local_server import PROGRAM_DIR


def test_the_image_declares_how_it_starts_and_what_it_supports() -> None:
    (found,) = json.loads(engine("inspect", IMAGE).stdout)
    config = found["Config"]
    assert config["Entrypoint"] == ["/opt/program/entrypoint.sh"]  # in exec form, so that SIGTERM reaches the program
    assert config["Cmd"] == ["serve"]
    assert "8080/tcp" in config["ExposedPorts"]
    assert config["Labels"]["com.amazonaws.sagemaker.capabilities.accept-bind-to-port"] == "true"
    assert config["Labels"]["com.amazonaws.sagemaker.capabilities.multi-models"] == "true"
    assert config["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"
    health = config.get("Healthcheck") or found["Healthcheck"]  # docker and podman show it in different places
    assert health["Test"] == ["CMD", "/opt/program/entrypoint.sh", "healthcheck"]
    assert not config.get("User")  # SageMaker starts it as root, and the program gives root up


def test_the_image_has_no_compiler_no_tests_and_no_pip() -> None:
    script = "command -v gcc cc make; ls /opt/program; ls /opt/venv/bin; ls -A /root/.cache 2>/dev/null; true"
    found = engine("run", "--rm", "--entrypoint", "/bin/sh", IMAGE, "-c", script).stdout.split()
    assert {"serve", "container", "model_loader", "tools", "python"} <= set(found)
    assert not {"tests", "gcc", "cc", "pip", "pip3", "pytest", "mypy"} & set(found)


def test_every_user_can_read_all_files() -> None:
    script = "find /opt ! -type l \\( ! -perm -o=r -o -type d ! -perm -o=x \\) -print"
    assert engine("run", "--rm", "--entrypoint", "/bin/sh", IMAGE, "-c", script).stdout == ""


def test_the_sbom_lists_the_packages_of_debian_and_of_python() -> None:
    program = (PROGRAM_DIR / "tools" / "sbom.py").read_text()
    command = (ENGINE, "run", "--rm", "-i", "--network", "none", "--entrypoint", "/opt/venv/bin/python", IMAGE, "-")
    ended = subprocess.run(command, input=program, capture_output=True, text=True, check=True)
    names = {each["purl"].partition("@")[0] for each in json.loads(ended.stdout)["components"] if "purl" in each}
    assert {"pkg:deb/debian/libc6", "pkg:pypi/torch", "pkg:pypi/fastapi"} <= names
    assert "pkg:pypi/pytest" not in names


def test_the_plan_for_another_machine_is_printed() -> None:
    ended = run_image("serve", "--plan", "--cores", "4", "--memory", "8Gi")
    assert ended.returncode == 0, ended.stderr
    assert "  4 narrow\n" in ended.stdout


def test_an_unknown_command_shows_the_usage() -> None:
    ended = run_image("bash")
    assert ended.returncode == 64
    assert ended.stderr.startswith("usage: serve")


def test_the_health_check_succeeds_only_if_the_server_answers(mounted: Container) -> None:
    mounted.execute("/opt/program/entrypoint.sh", "healthcheck")
    command = ("exec", "--env", "SAGEMAKER_BIND_TO_PORT=1", mounted.name, "/opt/program/entrypoint.sh", "healthcheck")
    assert engine(*command, check=False).returncode == 1
