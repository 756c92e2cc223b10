"""The step that uploads the artifact to S3."""

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

from rich import get_console
from rich.progress import DownloadColumn, Progress, ProgressColumn, TimeRemainingColumn, TransferSpeedColumn

from tools.deploy import package
from tools.deploy.deployment import Deployment
from tools.deploy.ownership import OwnedResource
from tools.deploy.steps.preparation.bucket import bucket_exists
from tools.deploy.steps.step import Step
from tools.deploy.tags import object_tags
from tools.errors import ToolError

_NOT_FOUND = ("404", "NoSuchKey", "NoSuchBucket")
_OBJECTS_PER_DELETION = 1000  # DeleteObjects takes no more.


class ArtifactStep(Step):
    """Uploads model.tar.gz or the separate files, under keys that change with the content."""

    title = "artifact"

    def change(self) -> str | None:
        """Describe the upload if objects are missing in S3."""
        if not self._missing_keys():
            return None
        artifact = self._deployment.artifact
        size = f"{artifact.size_bytes / 1e6:,.0f} MB in {len(artifact.files)} files"
        folder = self._deployment.artifact_keys[0].rpartition("/")[0]
        return f"upload s3://{self._names.bucket}/{folder}/, {size}"

    def apply(self) -> None:
        """Upload the missing objects."""
        missing = self._missing_keys()
        if not missing:
            return
        with TemporaryDirectory() as scratch:
            files = self._files_by_key(Path(scratch))
            total = sum(files[key].stat().st_size for key in missing)
            columns = (*Progress.get_default_columns()[:2], DownloadColumn(), TransferSpeedColumn())
            with _progress(*columns, TimeRemainingColumn()) as progress:
                task = progress.add_task("upload", total=total)
                for key in missing:
                    self._aws.upload(
                        files[key],
                        self._names.bucket,
                        key,
                        {"Tagging": urlencode(object_tags(self._deployment.tags))},
                        lambda count: progress.advance(task, count),
                    )

    def resources(self) -> list[OwnedResource]:
        """List our objects as one resource."""
        keys = self.our_keys()
        if not keys:
            return []
        uri = f"s3://{self._names.bucket}/{self._names.key_prefix}"
        remove = partial(delete_objects, self._deployment, keys)
        return [OwnedResource("S3 objects", uri, remove, f"{len(keys)}")]

    def outdated_resources(self) -> list[OwnedResource]:
        """List our objects that hold earlier artifacts."""
        return [
            OwnedResource("S3 object", key, partial(delete_objects, self._deployment, [key]))
            for key in self.our_keys()
            if key not in self._deployment.artifact_keys and not self._is_further_model(key)
        ]

    def status_lines(self) -> list[str]:
        """Return one line for each artifact of a multi-model endpoint."""
        return [f"artifact {name}" for name in self.further_models()]

    def _is_further_model(self, key: str) -> bool:
        """Return whether a key is that of an artifact of a multi-model endpoint, which an update leaves alone."""
        return self._config.mode == "multi-model" and key.startswith(self._names.models_prefix)

    def further_models(self) -> dict[str, str]:
        """Return the keys of the artifacts of a multi-model endpoint, by their names in a request."""
        return {key.rpartition("/")[2]: key for key in self.our_keys() if self._is_further_model(key)}

    def our_keys(self) -> list[str]:
        """List the keys of artifacts under our prefix whose objects carry our tag.

        Users may store their own objects under the same prefix. They may be many, and are left out without a look at
        their tags.
        """
        if not bucket_exists(self._deployment):
            return []
        names = self._names
        objects = self._aws.list_all("s3", "ListObjectsV2", "Contents", Bucket=names.bucket, Prefix=names.key_prefix)
        return [one["Key"] for one in objects if names.is_artifact_key(one["Key"]) and self._is_ours(one["Key"])]

    def _is_ours(self, key: str) -> bool:
        tags = self._aws.find("s3", "GetObjectTagging", ("NoSuchKey",), Bucket=self._names.bucket, Key=key)
        return tags is not None and self._ownership.is_ours(tags["TagSet"])

    def _missing_keys(self) -> list[str]:
        """List the keys without an object. Keys contain a content hash, so an existing object is up to date."""
        return [
            key
            for key in self._deployment.artifact_keys
            if self._aws.find("s3", "HeadObject", _NOT_FOUND, Bucket=self._names.bucket, Key=key) is None
        ]

    def _files_by_key(self, scratch: Path) -> dict[str, Path]:
        """Return the local file for each key. model.tar.gz is written into the folder `scratch`."""
        artifact, keys = self._deployment.artifact, self._deployment.artifact_keys
        if self._config.uncompressed:
            return dict(zip(keys, (file.path for file in artifact.files), strict=True))
        archive = scratch / "model.tar.gz"
        with _progress() as progress:
            task = progress.add_task("model.tar.gz", total=artifact.size_bytes)
            package.write_archive(artifact, archive, lambda count: progress.advance(task, count))
        return {keys[0]: archive}


def _progress(*columns: ProgressColumn) -> Progress:
    """Return a progress bar that is shown only in a terminal. Elsewhere it would print empty lines."""
    return Progress(*columns, transient=True, disable=not get_console().is_terminal)


def delete_objects(deployment: Deployment, keys: list[str]) -> None:
    """Delete objects from the deployment's bucket.

    Raises: ToolError, which names the first object that could not be deleted.
    """
    for start in range(0, len(keys), _OBJECTS_PER_DELETION):
        objects = [{"Key": key} for key in keys[start : start + _OBJECTS_PER_DELETION]]
        response = deployment.aws.call(
            "s3", "DeleteObjects", Bucket=deployment.names.bucket, Delete={"Objects": objects}
        )
        if errors := response.get("Errors"):
            first = errors[0]
            raise ToolError(
                f"{len(errors)} objects could not be deleted; {first['Key']}: {first['Code']}: {first['Message']}"
            )
