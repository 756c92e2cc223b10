"""Lists of AWS that come in several pages are read to their end."""

import pytest

from tests.aws.aws_account import REGION
from tools.remote.aws import Aws, AwsError


@pytest.mark.usefixtures("account")
def test_a_list_is_read_page_after_page() -> None:
    aws = Aws(REGION, {"ListObjectsV2": {"MaxKeys": 2}})
    aws.call("s3", "CreateBucket", Bucket="many", CreateBucketConfiguration={"LocationConstraint": REGION})
    for number in range(5):
        aws.call("s3", "PutObject", Bucket="many", Key=f"key {number}")
    assert len(aws.call("s3", "ListObjectsV2", Bucket="many")["Contents"]) == 2
    listed = [one["Key"] for one in aws.list_all("s3", "ListObjectsV2", "Contents", Bucket="many")]
    assert listed == [f"key {number}" for number in range(5)]
    with pytest.raises(AwsError, match="bucket does not exist"):
        list(aws.list_all("s3", "ListObjectsV2", "Contents", Bucket="none"))
