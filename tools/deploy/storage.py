"""Steps for S3: the bucket, and the artifact in it."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode

from rich.progress import DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

from tools.deploy import package
from tools.deploy.site import Resource, Site
from tools.errors import ToolError
from tools.remote.aws import AwsError

_NO_TAGS = ("NoSuchTagSet", "NoSuchBucket")
_DELETE_AT_ONCE = 1000  # DeleteObjects' limit


class Bucket:
    """Private, encrypted, ours if it was missing; one that is there already is used as it is, and stays."""

    title = "bucket"

    def __init__(self, site: Site) -> None:
        self._site = site

    def change(self) -> str | None:
        """Where it is missing, or ours and without its guards."""
        exists = self._site.bucket_exists()
        return None if exists and not self._unfinished() else f"create {self._site.bucket}, private"

    def apply(self) -> None:
        """A bucket that cannot be tagged goes at once: without the tag nobody would own it."""
        site, aws = self._site, self._site.aws
        if not site.bucket_exists():
            region = {"LocationConstraint": site.config.region}
            where: dict[str, Any] = {} if site.config.region == "us-east-1" else {"CreateBucketConfiguration": region}
            aws.call("s3", "CreateBucket", Bucket=site.bucket, **where)
            try:
                aws.call("s3", "PutBucketTagging", Bucket=site.bucket, Tagging={"TagSet": site.tag_list})
            except AwsError:
                aws.call("s3", "DeleteBucket", Bucket=site.bucket)
                raise
        if self._unfinished():
            closed = dict.fromkeys(
                ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
            )
            aws.call("s3", "PutPublicAccessBlock", Bucket=site.bucket, PublicAccessBlockConfiguration=closed)

    def resources(self) -> list[Resource]:
        """The bucket, if ours; what others put into it keeps it alive."""
        if not self._is_ours():
            return []
        return [Resource("S3 bucket", self._site.bucket, self._remove)]

    def _is_ours(self) -> bool:
        tags = self._site.aws.found("s3", "GetBucketTagging", _NO_TAGS, Bucket=self._site.bucket)
        return tags is not None and self._site.is_ours(tags["TagSet"])

    def _unfinished(self) -> bool:
        missing = ("NoSuchPublicAccessBlockConfiguration",)
        return self._is_ours() and (
            self._site.aws.found("s3", "GetPublicAccessBlock", missing, Bucket=self._site.bucket) is None
        )

    def _remove(self) -> None:
        try:
            self._site.aws.call("s3", "DeleteBucket", Bucket=self._site.bucket)
        except AwsError as error:
            if error.code != "BucketNotEmpty":
                raise
            self._site.say(f"S3 bucket {self._site.bucket} stays: it holds objects that `up` did not put there")


class Artifact:
    """model.tar.gz, or the files as they are, under a key that changes with their contents."""

    title = "artifact"

    def __init__(self, site: Site) -> None:
        self._site = site

    def change(self) -> str | None:
        """What is missing in S3."""
        missing = self._missing()
        if not missing:
            return None
        what = f"{self._site.contents.size_bytes / 1e6:,.0f} MB in {len(self._site.contents.members)} files"
        return f"upload s3://{self._site.bucket}/{self._site.artifact_prefix}, {what}"

    def apply(self) -> None:
        """Package and upload what is missing."""
        missing = self._missing()
        if not missing:
            return
        with TemporaryDirectory() as scratch:
            files = self._files(Path(scratch))
            total = sum(files[key].stat().st_size for key in missing)
            columns = (*Progress.get_default_columns()[:2], DownloadColumn(), TransferSpeedColumn())
            with Progress(*columns, TimeRemainingColumn(), transient=True) as progress:
                task = progress.add_task("upload", total=total)
                for key in missing:
                    self._site.aws.upload(
                        files[key],
                        self._site.bucket,
                        key,
                        {"Tagging": urlencode(self._site.tags)},
                        lambda count: progress.advance(task, count),
                    )

    def resources(self) -> list[Resource]:
        """Objects under our prefix that carry our tag; each is looked at."""
        keys = self.owned_keys()
        if not keys:
            return []
        name = f"s3://{self._site.bucket}/{self._site.prefix}"
        return [Resource("S3 objects", name, lambda: self.remove(keys), f"{len(keys)}")]

    def owned_keys(self) -> list[str]:
        """Keys of ours."""
        site = self._site
        if not site.bucket_exists():
            return []
        listed = site.aws.pages("s3", "ListObjectsV2", "Contents", Bucket=site.bucket, Prefix=site.prefix)
        users = f"{site.prefix}async/"  # questions and answers, however many
        keys = [one["Key"] for one in listed]
        ours = [key for key in keys if not key.startswith(users) or key == site.async_question_key]
        return [key for key in ours if self._carries_our_tag(key)]

    def remove(self, keys: list[str]) -> None:
        """Delete objects."""
        for start in range(0, len(keys), _DELETE_AT_ONCE):
            objects = [{"Key": key} for key in keys[start : start + _DELETE_AT_ONCE]]
            done = self._site.aws.call("s3", "DeleteObjects", Bucket=self._site.bucket, Delete={"Objects": objects})
            if errors := done.get("Errors"):
                first = errors[0]
                raise ToolError(f"{len(errors)} objects stay; {first['Key']}: {first['Code']}: {first['Message']}")

    def _carries_our_tag(self, key: str) -> bool:
        tags = self._site.aws.found("s3", "GetObjectTagging", ("NoSuchKey",), Bucket=self._site.bucket, Key=key)
        return tags is not None and self._site.is_ours(tags["TagSet"])

    def _missing(self) -> list[str]:
        """Contents are in the key: one that is there is right."""
        aws, missing = self._site.aws, ("404", "NoSuchKey", "NoSuchBucket")
        return [
            key
            for key in self._site.artifact_keys
            if aws.found("s3", "HeadObject", missing, Bucket=self._site.bucket, Key=key) is None
        ]

    def _files(self, scratch: Path) -> dict[str, Path]:
        members = self._site.contents.members
        if self._site.config.uncompressed:
            return dict(zip(self._site.artifact_keys, (member.path for member in members), strict=True))
        archive = scratch / "model.tar.gz"
        with Progress(transient=True) as progress:
            task = progress.add_task("model.tar.gz", total=self._site.contents.size_bytes)
            package.write(self._site.contents, archive, lambda count: progress.advance(task, count))
        return {self._site.artifact_keys[0]: archive}
