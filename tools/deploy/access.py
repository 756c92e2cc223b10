"""Steps for ECR and IAM: the image's repository, the image in it, and the role that SageMaker runs it with."""

import base64
import json
from typing import Any

from tools.deploy.site import Resource, Site

_POLICY = "least-privilege"
_NO_ROLE = ("NoSuchEntity",)
_NO_REPOSITORY = ("RepositoryNotFoundException",)
_NO_IMAGE = (*_NO_REPOSITORY, "ImageNotFoundException")


class Repository:
    """In ECR, named as the deployment. Goes with all its images."""

    title = "repository"

    def __init__(self, site: Site) -> None:
        self._site = site

    def change(self) -> str | None:
        """Where it is missing."""
        if self._site.config.image_uri or self._find():
            return None
        return f"create the ECR repository {self._site.repository}"

    def apply(self) -> None:
        """Create it."""
        site = self._site
        if site.config.image_uri:
            return
        if self._find() is None:
            scan = {"scanOnPush": True}
            site.aws.call(
                "ecr",
                "CreateRepository",
                repositoryName=site.repository,
                imageScanningConfiguration=scan,
                tags=site.tag_list,
            )
        elif not self.resources():
            raise site.refuse(f"the ECR repository {site.repository}")

    def resources(self) -> list[Resource]:
        """The repository."""
        site, found = self._site, self._find()
        if found is None:
            return []
        tags = site.aws.call("ecr", "ListTagsForResource", resourceArn=found["repositoryArn"])["tags"]
        if not site.is_ours(tags):
            return []
        return [
            Resource(
                "ECR repository",
                site.repository,
                lambda: site.aws.call("ecr", "DeleteRepository", repositoryName=site.repository, force=True),
                "with its images",
            )
        ]

    def _find(self) -> dict[str, Any] | None:
        names = [self._site.repository]
        found = self._site.aws.found("ecr", "DescribeRepositories", _NO_REPOSITORY, repositoryNames=names)
        return found["repositories"][0] if found else None


class Image:
    """The local image, pushed under a tag from its id. Goes with its repository."""

    title = "image"

    def __init__(self, site: Site) -> None:
        self._site = site

    def change(self) -> str | None:
        """Where this image is not there."""
        if self._site.config.image_uri or self._is_pushed():
            return None
        return f"push {self._site.config.image} as {self._site.image_uri}"

    def apply(self) -> None:
        """Log in to ECR and push."""
        site = self._site
        if self.change() is None:
            return
        user, _, password = base64.b64decode(site.registry_token["authorizationToken"]).decode().partition(":")
        site.engine.push(site.config.image, site.image_uri, user=user, password=password)

    def resources(self) -> list[Resource]:
        """None of its own."""
        return []

    def _is_pushed(self) -> bool:
        site = self._site
        ids = [{"imageTag": site.image_tag}]
        found = site.aws.found("ecr", "DescribeImages", _NO_IMAGE, repositoryName=site.repository, imageIds=ids)
        return found is not None


class Role:
    """What the endpoint may do: read the model, pull the image, write logs and metrics; in async, write answers."""

    title = "role"

    def __init__(self, site: Site) -> None:
        self._site = site

    def change(self) -> str | None:
        """Where it is missing, or its policy another."""
        site = self._site
        if site.config.role_arn:
            return None
        if self._find() is None:
            return f"create the IAM role {site.role_name}, which may do no more than the endpoint needs"
        found = self._found_statements()
        is_right = all(statement in found for statement in self._policy()["Statement"])
        return None if is_right else f"set the policy of the IAM role {site.role_name}"

    def apply(self) -> None:
        """Create it, and set its policy."""
        site = self._site
        if self.change() is None:
            return
        if self._find() is None:
            trust = json.dumps(_policy_of(_allow("sts:AssumeRole", Principal={"Service": "sagemaker.amazonaws.com"})))
            site.aws.call(
                "iam", "CreateRole", RoleName=site.role_name, AssumeRolePolicyDocument=trust, Tags=site.tag_list
            )
        elif not self._is_ours():
            raise site.refuse(f"the IAM role {site.role_name}")
        wanted = self._policy()["Statement"]
        used = [statement for statement in self._found_statements() if statement not in wanted]
        self._put(_policy_of(*wanted, *used))  # the endpoint needs the old ones until it has moved; Retire drops them

    def resources(self) -> list[Resource]:
        """The role with its policy."""
        return [Resource("IAM role", self._site.role_name, self._remove)] if self._is_ours() else []

    def retire(self) -> list[Resource]:
        """What an earlier configuration was allowed."""
        if self._site.config.role_arn or not self._is_ours():
            return []
        wanted = self._policy()
        if all(statement in wanted["Statement"] for statement in self._found_statements()):
            return []
        return [Resource("permissions of before, of", self._site.role_name, lambda: self._put(wanted))]

    def _found_statements(self) -> list[dict[str, Any]]:
        found = self._site.aws.found(
            "iam", "GetRolePolicy", _NO_ROLE, RoleName=self._site.role_name, PolicyName=_POLICY
        )
        return list(found["PolicyDocument"]["Statement"]) if found else []

    def _put(self, policy: dict[str, Any]) -> None:
        self._site.aws.call(
            "iam",
            "PutRolePolicy",
            RoleName=self._site.role_name,
            PolicyName=_POLICY,
            PolicyDocument=json.dumps(policy),
        )

    def _find(self) -> dict[str, Any] | None:
        found = self._site.aws.found("iam", "GetRole", _NO_ROLE, RoleName=self._site.role_name)
        return found["Role"] if found else None

    def _is_ours(self) -> bool:
        found = self._find()
        return found is not None and self._site.is_ours(found.get("Tags", []))

    def _remove(self) -> None:
        aws, name = self._site.aws, self._site.role_name
        aws.found("iam", "DeleteRolePolicy", _NO_ROLE, RoleName=name, PolicyName=_POLICY)
        aws.call("iam", "DeleteRole", RoleName=name)

    def _policy(self) -> dict[str, Any]:
        site, config = self._site, self._site.config
        bucket = f"arn:{site.partition}:s3:::{site.bucket}"
        logs = site.arn("logs", "log-group:/aws/sagemaker/*")
        statements = [
            _allow("s3:GetObject", Resource=f"{bucket}/{site.prefix}*"),
            _allow("s3:ListBucket", Resource=bucket, Condition={"StringLike": {"s3:prefix": f"{site.prefix}*"}}),
            _allow("ecr:GetAuthorizationToken", Resource="*"),  # it takes no narrower one
            _allow(
                "ecr:BatchCheckLayerAvailability",
                "ecr:BatchGetImage",
                "ecr:GetDownloadUrlForLayer",
                Resource=self._repository_arn(),
            ),
            _allow("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", Resource=logs),
            _allow("logs:DescribeLogStreams", Resource=logs),
            _allow(
                "cloudwatch:PutMetricData",
                Resource="*",  # it takes no narrower one
                Condition={"StringLike": {"cloudwatch:namespace": ["*SageMaker*", "*sagemaker*"]}},
            ),
        ]
        if config.rollback_alarm:  # the update that it guards is watched with this role
            alarms = [site.arn("cloudwatch", f"alarm:{site.alarm_name(variant)}") for variant in config.variants]
            statements.append(_allow("cloudwatch:DescribeAlarms", Resource=alarms))
        if config.mode == "async":
            statements.append(_allow("s3:GetObject", "s3:PutObject", Resource=f"{bucket}/{site.prefix}async/*"))
        if config.mode == "batch":
            statements += self._batch()
        return _policy_of(*statements)

    def _repository_arn(self) -> str:
        site, uri = self._site, self._site.config.image_uri
        if not uri:
            return site.arn("ecr", f"repository/{site.repository}")
        host, _, path = uri.partition("/")
        account, region = host.split(".")[0], (host.split(".") + ["", "", "", ""])[3]
        repository = path.partition("@")[0].partition(":")[0]
        return f"arn:{site.partition}:ecr:{region}:{account}:repository/{repository}"

    def _batch(self) -> list[dict[str, Any]]:
        config, arn = self._site.config, f"arn:{self._site.partition}:s3:::"
        source, target = (text.removeprefix("s3://") for text in (config.batch_input, config.batch_output))
        return [
            _allow("s3:GetObject", Resource=f"{arn}{source}*"),
            _allow("s3:ListBucket", Resource=f"{arn}{source.partition('/')[0]}"),
            _allow("s3:PutObject", Resource=f"{arn}{target.rstrip('/')}/*"),
        ]


def _allow(*actions: str, **rest: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), **rest}


def _policy_of(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}
