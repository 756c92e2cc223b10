"""The form of single values, as AWS documents it, and the words for it in a message."""

from typing import Annotated

from pydantic import BeforeValidator

from tools.remote.instance_prices import with_prefix

InstanceTypes = Annotated[str, BeforeValidator(with_prefix)]  # one or several, with or without ml.

_BUCKET = r"(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"

NAME = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
INSTANCE_TYPE = r"^ml\.[a-z0-9-]+\.[a-z0-9]+$"
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
BUCKET = rf"^$|^{_BUCKET}$"
S3_URI = rf"^$|^s3://{_BUCKET}(/.*)?$"
# https://docs.aws.amazon.com/AmazonECR/latest/userguide/Registries.html, and botocore, CreateRepository.repositoryName
IMAGE_URI = (
    r"^$|^[0-9]{12}\.dkr\.ecr(-fips)?\.[a-z0-9-]+\.[a-z0-9.-]+/[a-z0-9]+([._/-]+[a-z0-9]+)*"
    r"(:\w[\w.-]{0,127})?(@sha256:[0-9a-f]{64})?$"
)
ROLE_ARN = r"^$|^arn:aws[a-z-]*:iam::[0-9]{12}:role/?[\w+=,.@/-]+$"  # botocore, RoleArn of CreateModel
ROLE_PATH = r"^/([\w+=,.@-]+/)*$"
TOPIC_ARN = r"^$|^arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}$"
KEY_ARN = r"^$|^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/.+$"

# What a value must be, by the field of the configuration. A message says this instead of the pattern.
WORDS = {
    "name": "must have at most 32 lowercase letters, digits and single hyphens, and begin with a letter, such as "
    "bert-qa-2",
    "instance": "must be an instance type of SageMaker, such as ml.c6i.2xlarge",
    "bucket": "must be the name of an S3 bucket without s3://: 3 to 63 lowercase letters, digits, hyphens and dots, "
    "such as models-of-my-team",
    "image_uri": "must name an image in ECR with its registry, such as "
    "111122223333.dkr.ecr.eu-west-1.amazonaws.com/bert-qa:0.1.0",
    "role_arn": "must be the ARN of a role, such as arn:aws:iam::111122223333:role/my-role",
    "role_path": "must begin and end with a slash, such as /ml/",
    "kms_key": "must be the ARN of a key, such as arn:aws:kms:eu-west-1:111122223333:key/KEY-ID. "
    "`aws kms describe-key --key-id alias/NAME` shows the ARN behind an alias",
    "alarm_topic": "must be the ARN of an SNS topic, such as arn:aws:sns:eu-west-1:111122223333:on-call",
    "batch_input": "must be a prefix in S3, such as s3://my-bucket/questions/",
    "batch_output": "must be a prefix in S3, such as s3://my-bucket/answers/",
    "memory_mb": "must be 1024, 2048, 3072, 4096, 5120 or 6144",
}
