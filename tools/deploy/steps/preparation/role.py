"""The step for the IAM role that SageMaker runs the container with."""

import json
from functools import partial
from typing import Any

from tools.deploy.ownership import OwnedResource
from tools.deploy.steps.preparation.role_policy import TRUST_POLICY, execution_policy, policy
from tools.deploy.steps.step import Step

_POLICY_NAME = "least-privilege"
_NO_ROLE = ("NoSuchEntity",)


class RoleStep(Step):
    """Creates the execution role with the permissions that the endpoint needs.

    If the configuration names an existing role, the step does nothing.
    """

    title = "role"

    def change(self) -> str | None:
        """Describe the change if the role is missing, or if its policy lacks a permission."""
        if self._config.role_arn:
            return None
        if self._find() is None:
            return f"create the IAM role {self._names.role} with the permissions that the endpoint needs"
        present = self._present_statements()
        is_complete = all(statement in present for statement in self._wanted_statements())
        return None if is_complete else f"set the policy of the IAM role {self._names.role}"

    def apply(self) -> None:
        """Create the role and set its policy.

        Raises: ToolError if a role of this name exists and is not ours.
        """
        if self.change() is None:
            return
        if self._find() is None:
            self._aws.call(
                "iam",
                "CreateRole",
                RoleName=self._names.role,
                AssumeRolePolicyDocument=json.dumps(TRUST_POLICY),
                Tags=self._deployment.tag_list,
            )
        elif not self._is_ours():
            raise self._ownership.foreign_error(f"the IAM role {self._names.role}")
        # Until the update is complete, the endpoint needs the permissions of the old configuration as well.
        # The step for outdated resources removes them.
        wanted = self._wanted_statements()
        old = [statement for statement in self._present_statements() if statement not in wanted]
        self._put_policy([*wanted, *old])

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
        return [OwnedResource("old permissions of the role", self._names.role, partial(self._put_policy, wanted))]

    def _wanted_statements(self) -> list[dict[str, Any]]:
        return execution_policy(self._config, self._names)

    def _present_statements(self) -> list[dict[str, Any]]:
        response = self._aws.find("iam", "GetRolePolicy", _NO_ROLE, RoleName=self._names.role, PolicyName=_POLICY_NAME)
        return list(response["PolicyDocument"]["Statement"]) if response else []

    def _put_policy(self, statements: list[dict[str, Any]]) -> None:
        self._aws.call(
            "iam",
            "PutRolePolicy",
            RoleName=self._names.role,
            PolicyName=_POLICY_NAME,
            PolicyDocument=json.dumps(policy(*statements)),
        )

    def _find(self) -> dict[str, Any] | None:
        response = self._aws.find("iam", "GetRole", _NO_ROLE, RoleName=self._names.role)
        return response["Role"] if response else None

    def _is_ours(self) -> bool:
        role = self._find()
        return role is not None and self._ownership.is_ours(role.get("Tags", []))

    def _remove(self) -> None:
        self._aws.find("iam", "DeleteRolePolicy", _NO_ROLE, RoleName=self._names.role, PolicyName=_POLICY_NAME)
        self._aws.call("iam", "DeleteRole", RoleName=self._names.role)
