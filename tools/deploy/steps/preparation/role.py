"""The step for the IAM role that SageMaker runs the container with."""

import json
from typing import Any

from tools.deploy.ownership import OwnedResource
from tools.deploy.retry import call_with_retry
from tools.deploy.steps.preparation.bucket import bucket_key
from tools.deploy.steps.preparation.release import wait_until_released
from tools.deploy.steps.preparation.role_policy import execution_policy, policy, trust_policy
from tools.deploy.steps.step import Step
from tools.errors import ToolError

_POLICY_NAME = "least-privilege"
_NO_ROLE = ("NoSuchEntity",)


class RoleStep(Step):
    """Creates the execution role with the permissions that the endpoint needs.

    If the configuration names an existing role, the step does nothing.
    """

    title = "role"

    def change(self) -> str | None:
        """Describe the change if the role is missing, or if its policy lacks a permission.

        Raises: ToolError if the role has another path than the configuration.
        """
        if self._config.role_arn:
            return None
        role = self._find()
        if role is None:
            return f"create the IAM role {self._names.role} with the permissions that the endpoint needs"
        if role["Path"] != self._config.role_path:
            raise ToolError(
                f"the IAM role {self._names.role} has the path {role['Path']}, which AWS cannot change to "
                f"{self._config.role_path}: give --role-path {role['Path']}, or run `down` first"
            )
        if role["AssumeRolePolicyDocument"] != self._trust():
            return f"let SageMaker use the IAM role {self._names.role} for this account only"
        present = self._present_statements()
        is_complete = all(statement in present for statement in self._wanted_statements())
        return None if is_complete else f"set the policy of the IAM role {self._names.role}"

    def apply(self) -> None:
        """Create the role and set its policy.

        Raises: ToolError if a role of this name exists and is not ours.
        """
        if self.change() is None:
            return
        self._create_or_correct()
        # Until the update is complete, the endpoint needs the permissions of the old configuration as well.
        # The step for outdated resources removes them.
        wanted = self._wanted_statements()
        old = [statement for statement in self._present_statements() if statement not in wanted]
        self._put_policy([*wanted, *old])

    def _create_or_correct(self) -> None:
        name, trust, role = self._names.role, json.dumps(self._trust()), self._find()
        if role is None:
            tags = self._deployment.tag_list
            path = self._config.role_path
            self._aws.call("iam", "CreateRole", RoleName=name, Path=path, AssumeRolePolicyDocument=trust, Tags=tags)
        elif not self._is_ours():
            raise self._ownership.foreign_error(f"the IAM role {name}")
        elif role["AssumeRolePolicyDocument"] != self._trust():
            self._aws.call("iam", "UpdateAssumeRolePolicy", RoleName=name, PolicyDocument=trust)

    def _trust(self) -> dict[str, Any]:
        return trust_policy(self._deployment.account)

    def resources(self) -> list[OwnedResource]:
        """List the role if it is ours. Its policy is removed with it."""
        return [OwnedResource("IAM role", self._names.role, self._remove)] if self._is_ours() else []

    def outdated_resources(self) -> list[OwnedResource]:
        """List the permissions that an earlier configuration needed, as one resource."""
        if self._config.role_arn or not self._is_ours():
            return []
        wanted = self._wanted_statements()
        if all(statement in wanted for statement in self._present_statements()):
            return []
        return [OwnedResource("old permissions of the role", self._names.role, self._remove_old_statements)]

    def _remove_old_statements(self) -> None:
        wanted = self._wanted_statements()
        old = [statement for statement in self._present_statements() if statement not in wanted]
        self._wait_until_released(old)
        self._put_policy(wanted)

    def _wait_until_released(self, statements: list[dict[str, Any]]) -> None:
        """Ask about the role as it is: a `down` does not know the path that an `up` gave it."""
        role = self._find()
        wait_until_released(self._deployment, role["Arn"] if role else self._names.role_arn, statements)

    def _wanted_statements(self) -> list[dict[str, Any]]:
        return execution_policy(self._config, self._names, bucket_key(self._deployment))

    def _present_statements(self) -> list[dict[str, Any]]:
        response = self._aws.find("iam", "GetRolePolicy", _NO_ROLE, RoleName=self._names.role, PolicyName=_POLICY_NAME)
        return list(response["PolicyDocument"]["Statement"]) if response else []

    def _put_policy(self, statements: list[dict[str, Any]]) -> None:
        request = {
            "RoleName": self._names.role,
            "PolicyName": _POLICY_NAME,
            "PolicyDocument": json.dumps(policy(*statements)),
        }
        call_with_retry(self._deployment, "iam", "PutRolePolicy", request)

    def _find(self) -> dict[str, Any] | None:
        response = self._aws.find("iam", "GetRole", _NO_ROLE, RoleName=self._names.role)
        return response["Role"] if response else None

    def _is_ours(self) -> bool:
        role = self._find()
        return role is not None and self._ownership.is_ours(role.get("Tags", []))

    def _remove(self) -> None:
        self._wait_until_released(self._present_statements())
        self._aws.find("iam", "DeleteRolePolicy", _NO_ROLE, RoleName=self._names.role, PolicyName=_POLICY_NAME)
        self._aws.call("iam", "DeleteRole", RoleName=self._names.role)
