"""The policies in docs/deploy.md, as a user of the guide would apply them: literally, with the names replaced."""

import json
import re
from pathlib import Path
from typing import Any

from tests.aws.iam import ACCOUNT
from tools.deploy.config import DeploymentConfig

GUIDE = (Path(__file__).parents[2] / "docs" / "deploy.md").read_text()
(_POLICY, *_FURTHER) = re.findall(r"```json\n(.*?)```", GUIDE, re.DOTALL)
# The placeholder in a further statement of the guide, and the field of the configuration that replaces it.
# A statement about EC2 has none.
OPTIONS = {
    "MY-BUCKET": "bucket", "MY-KEY-ARN": "kms_key", "ec2:DescribeSubnets": "subnets", "MY-ROLE-ARN": "role_arn",
    "INPUT-BUCKET": "batch_input", "OUTPUT-BUCKET": "batch_output",
}  # fmt: skip


def main_statements() -> list[dict[str, Any]]:
    """Return the statements of the policy that every user needs."""
    return list(json.loads(_POLICY)["Statement"])


def further_statements() -> list[dict[str, Any]]:
    """Return the statements that the guide adds for some choices."""
    return [statement for text in _FURTHER for statement in json.loads(text)]


def statements_for(config: DeploymentConfig) -> list[dict[str, Any]]:
    """Return the statements that a user of this configuration gets from the guide."""
    text = json.dumps(main_statements()).replace("111122223333", ACCOUNT).replace("bert-qa", config.name)
    statements = list(json.loads(text))
    for statement in statements if config.role_path != "/" else ():
        if f":role/{config.name}-" in str(statement["Resource"]):
            with_path = statement["Resource"].replace(":role/", f":role{config.role_path}")
            statement["Resource"] = [statement["Resource"], with_path]
    for further in further_statements():
        text = json.dumps(further).replace("111122223333", ACCOUNT).replace("bert-qa", config.name)
        options = [option for option in OPTIONS if option in text]
        values = [_value(str(getattr(config, OPTIONS[option]))) for option in options]
        if all(values):
            for option, value in zip(options, values, strict=True):
                text = text if option.startswith("ec2:") else text.replace(option, value)
            statements.append(json.loads(text))
    return statements


def _value(text: str) -> str:
    """Return what replaces a placeholder: of a prefix in S3, the bucket."""
    return text.removeprefix("s3://").partition("/")[0] if text.startswith("s3://") else text
