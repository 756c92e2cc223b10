"""Signed artifacts: tools.sign makes a signature, OpenSSL agrees with it, and a server with TRUSTED_KEY needs it."""

import logging
import shutil
import subprocess
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from container import contract
from container.access.trusted_keys import TrustedKeys, read_trusted_keys
from container.cpu import Cpu
from container.settings import Settings
from container.validation.environment import SettingsError
from model_loader.artifact import open_artifact
from model_loader.errors import ArtifactInvalid
from model_loader.signing.signature import FILE_NAME
from tests.server.server_process import error_messages, run_until_exit
from tests.tools.command import error_of, run_tool
from tools.local_server import LocalServer

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
CPU = Cpu("any", "AVX512_CORE", ((0,),), None)
Read = Callable[[Path], TrustedKeys]


def openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two key pairs, made as docs/security.md says: ours and other."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("ours", "other"):
        openssl("genpkey", "-algorithm", "ed25519", "-out", folder / f"{name}.pem")
        openssl("pkey", "-in", folder / f"{name}.pem", "-pubout", "-out", folder / f"{name}-trusted.pem")
    return folder


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Read:
    """Read a file of public keys, as the server does."""

    def from_file(path: Path) -> TrustedKeys:
        monkeypatch.setenv("TRUSTED_KEY", str(path))
        trusted = read_trusted_keys(Settings.from_env())
        assert trusted
        return trusted

    return from_file


@pytest.fixture
def signed(artifact_copy: Path, keys: Path) -> Path:
    """A copy of the demo artifact with our signature."""
    ended = run_tool("sign", "--key", keys / "ours.pem", artifact_copy)
    assert ended.returncode == 0, ended.stderr
    return artifact_copy


def test_a_signed_artifact_is_opened_and_openssl_accepts_its_signature(signed: Path, keys: Path, read: Read) -> None:
    assert open_artifact(signed, ("FP32",), CPU, read(keys / "ours-trusted.pem")).manifest
    openssl(
        "pkeyutl", "-verify", "-pubin", "-inkey", keys / "ours-trusted.pem", "-rawin",
        "-in", signed / "manifest.json", "-sigfile", signed / FILE_NAME,
    )  # fmt: skip


def test_a_line_names_the_key_that_signed(
    signed: Path, keys: Path, read: Read, caplog: pytest.LogCaptureFixture
) -> None:
    both = keys / "two.pem"
    both.write_text("".join((keys / f"{name}-trusted.pem").read_text() for name in ("other", "ours")))
    with caplog.at_level(logging.INFO):
        open_artifact(signed, ("FP32",), CPU, read(both))
    openssl("pkey", "-pubin", "-in", keys / "ours-trusted.pem", "-outform", "DER", "-out", keys / "ours.der")
    digest = sha256((keys / "ours.der").read_bytes()).hexdigest()
    assert caplog.messages == [f"{signed} is signed by the key in TRUSTED_KEY whose SHA-256 is {digest}"]


def test_a_signature_that_openssl_made_is_accepted(artifact_copy: Path, keys: Path, read: Read) -> None:
    openssl(
        "pkeyutl", "-sign", "-rawin", "-inkey", keys / "ours.pem",
        "-in", artifact_copy / "manifest.json", "-out", artifact_copy / FILE_NAME,
    )  # fmt: skip
    assert open_artifact(artifact_copy, ("FP32",), CPU, read(keys / "ours-trusted.pem")).manifest


def test_without_a_trusted_key_signatures_are_not_looked_at(signed: Path) -> None:
    (signed / FILE_NAME).write_bytes(b"not a signature")
    assert open_artifact(signed, ("FP32",), CPU).manifest


def test_one_of_several_keys_is_enough_while_a_key_is_replaced(signed: Path, keys: Path, read: Read) -> None:
    both = keys / "both.pem"
    both.write_text("".join((keys / f"{name}-trusted.pem").read_text() for name in ("other", "ours")))
    assert open_artifact(signed, ("FP32",), CPU, read(both)).manifest


def test_an_artifact_that_is_not_signed_is_refused(artifact_copy: Path, keys: Path, read: Read) -> None:
    with pytest.raises(ArtifactInvalid, match="is not signed: it has no manifest.json.sig"):
        open_artifact(artifact_copy, None, CPU, read(keys / "ours-trusted.pem"))


def test_the_layout_of_the_sample_cannot_be_signed(artifact_copy: Path, keys: Path, read: Read) -> None:
    (artifact_copy / "manifest.json").unlink()
    with pytest.raises(ArtifactInvalid, match="is not signed"):
        open_artifact(artifact_copy, None, CPU, read(keys / "ours-trusted.pem"))


def test_the_signature_of_somebody_else_is_refused(signed: Path, keys: Path, read: Read) -> None:
    with pytest.raises(ArtifactInvalid, match="is not the signature of this manifest.json by a key in TRUSTED_KEY"):
        open_artifact(signed, None, CPU, read(keys / "other-trusted.pem"))


@pytest.mark.parametrize("damage", ["manifest", "signature", "short", "long", "empty"])
def test_a_change_after_the_signature_is_refused(signed: Path, keys: Path, read: Read, damage: str) -> None:
    manifest, signature = signed / "manifest.json", signed / FILE_NAME
    good = signature.read_bytes()
    changed = {
        "signature": bytes([good[0] ^ 1]) + good[1:],
        "short": good[:-1],
        "long": good + b"\n",
        "empty": b"",
    }
    if damage == "manifest":
        manifest.write_text(manifest.read_text() + " ")
    else:
        signature.write_bytes(changed[damage])
    with pytest.raises(ArtifactInvalid, match="is not the signature"):
        open_artifact(signed, None, CPU, read(keys / "ours-trusted.pem"))


def test_another_model_file_under_the_signed_manifest_is_refused(signed: Path, keys: Path, read: Read) -> None:
    model = signed / "model_fp32.pt"
    content = bytearray(model.read_bytes())
    content[-1] ^= 1
    model.unlink()  # the copy is a hard link
    model.write_bytes(content)
    with pytest.raises(ArtifactInvalid, match=r"has SHA-256 .* or somebody changed it\. Copy the artifact again"):
        open_artifact(signed, ("FP32",), CPU, read(keys / "ours-trusted.pem"))


def test_a_damaged_artifact_is_not_signed(artifact_copy: Path, keys: Path) -> None:
    (artifact_copy / "tokenizer.json").write_text("{}")
    assert "tokenizer.json has 2 bytes" in error_of(run_tool("sign", "--key", keys / "ours.pem", artifact_copy))
    assert not (artifact_copy / FILE_NAME).exists()


def test_keys_that_cannot_sign_are_refused(artifact_copy: Path, keys: Path) -> None:
    openssl("genpkey", "-algorithm", "ed25519", "-aes256", "-pass", "pass:secret", "-out", keys / "locked.pem")
    openssl("genpkey", "-algorithm", "RSA", "-out", keys / "rsa.pem")
    for name, reason in (
        ("locked.pem", "openssl pkeyutl -sign"),
        ("rsa.pem", "must be an Ed25519 key"),
        ("ours-trusted.pem", "is not a private key"),
        ("missing.pem", "cannot be read"),
    ):
        assert reason in error_of(run_tool("sign", "--key", keys / name, artifact_copy))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "has no public key in PEM format"),
        ("schlüssel".encode(), "is not a PEM file"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "that cannot be read"),
        (b"x" * 70_000, "or is larger than"),
        (None, "cannot be read"),
    ],
)
def test_a_file_that_has_no_trusted_key_ends_the_server(
    tmp_path: Path, read: Read, content: bytes | None, reason: str
) -> None:
    file = tmp_path / "trusted.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match=f"^TRUSTED_KEY='.*': the file .*{reason}"):
        read(file)


def test_a_public_key_of_another_algorithm_is_refused(keys: Path, read: Read) -> None:
    openssl("genpkey", "-algorithm", "RSA", "-out", keys / "rsa.pem")
    openssl("pkey", "-in", keys / "rsa.pem", "-pubout", "-out", keys / "rsa-trusted.pem")
    with pytest.raises(SettingsError, match="of another algorithm"):
        read(keys / "rsa-trusted.pem")


def test_the_server_ends_at_start_with_a_line_that_says_why(artifact_copy: Path, keys: Path) -> None:
    environment = {"MODEL_DIR": str(artifact_copy), "TRUSTED_KEY": str(keys / "ours-trusted.pem")}
    ended = run_until_exit(environment)
    assert ended.returncode == contract.EXIT_ARTIFACT
    (message,) = error_messages(ended.stdout + ended.stderr)
    assert "is not signed" in message
    assert "python -m tools.sign" in message
    ended = run_until_exit({**environment, "TRUSTED_KEY": str(keys / "missing.pem")})
    assert ended.returncode == contract.EXIT_SETTINGS


def test_a_multi_model_endpoint_loads_signed_models_only(signed: Path, demo_dir: Path, keys: Path) -> None:
    settings = {
        "SAGEMAKER_MULTI_MODEL": "true",
        "TRUSTED_KEY": str(keys / "ours-trusted.pem"),
        "PRECISIONS": "FP32",
    }
    with LocalServer(signed / "none", settings) as server, httpx.Client(base_url=server.url, timeout=60) as client:
        refused = client.post("/models", json={"model_name": "unsigned", "url": str(demo_dir)})
        assert refused.status_code == 400, refused.text
        assert "is not signed" in refused.json()["error"]
        assert client.post("/models", json={"model_name": "signed", "url": str(signed)}).status_code == 200
