"""The step that checks the VPC of the container."""

from tools.deploy.steps.step import Step
from tools.errors import ToolError


class NetworkStep(Step):
    """Refuses subnets that are all in one zone. The step creates nothing: the VPC belongs to the user."""

    title = "network"
    only_checks = True

    def is_needed(self) -> bool:
        """Return whether the container runs in a VPC."""
        return bool(self._config.vpc)

    def change(self) -> str | None:
        """Check the subnets. There is never a change to describe, so the return value is None.

        Raises: ToolError if a subnet or a security group does not exist, if they are in several VPCs, or if all subnets
        are in one zone: "You must create at least two subnets in different availability zones",
        https://docs.aws.amazon.com/sagemaker/latest/dg/host-vpc.html
        """
        subnets = self._aws.call("ec2", "DescribeSubnets", SubnetIds=self._config.subnet_ids)["Subnets"]
        zones = {subnet["AvailabilityZone"] for subnet in subnets}
        if len(zones) < 2:
            raise ToolError(
                f"all subnets are in the zone {', '.join(zones)}, and SageMaker needs subnets in two zones: "
                "name another one with --subnets"
            )
        wanted = self._config.vpc["SecurityGroupIds"]
        groups = self._aws.call("ec2", "DescribeSecurityGroups", GroupIds=wanted)["SecurityGroups"]
        networks = {one["VpcId"] for one in (*subnets, *groups)}
        if len(networks) > 1:
            raise ToolError(
                f"the subnets and the security groups are in several VPCs ({', '.join(sorted(networks))}): "
                "name those of one VPC with --subnets and --security-groups"
            )
        return None

    def apply(self) -> None:
        """Do nothing. The check is in `change`."""
