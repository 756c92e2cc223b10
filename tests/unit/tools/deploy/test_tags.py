"""The tags of a deployment's resources."""

from tools.deploy.tags import OWNER_TAG, as_tag_list, deployment_tags, has_owner_tag


def test_everything_that_a_deployment_creates_carries_its_owner_tag() -> None:
    tags = deployment_tags("mine", {"team": "search"})
    assert tags == {"team": "search", OWNER_TAG: "mine"}
    assert has_owner_tag(as_tag_list(tags), "mine")


def test_a_resource_of_another_deployment_is_not_ours() -> None:
    assert not has_owner_tag(as_tag_list(deployment_tags("mine-2", {})), "mine")
    assert not has_owner_tag([{"Key": "team", "Value": "mine"}], "mine")
    assert not has_owner_tag([], "mine")


def test_keys_may_be_written_in_lower_case() -> None:
    assert has_owner_tag([{"key": OWNER_TAG, "value": "mine"}], "mine")
