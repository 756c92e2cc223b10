"""Tags on everything that a deployment creates. One of them names the owner: `down` removes only what carries it."""

from collections.abc import Iterable, Mapping
from typing import Any

OWNER_TAG = "bert-qa:deployment"
HISTORY_TAG = "bert-qa:history"  # on the endpoint: its configuration and the earlier ones, for `rollback`
MOST_OBJECT_TAGS = 10


def deployment_tags(name: str, further_tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags for everything that the deployment `name` creates."""
    return {**further_tags, OWNER_TAG: name}


def object_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the owner tag and as many further tags as S3 allows on an object, the first ones: ten in all.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
    """
    further = {key: value for key, value in tags.items() if key != OWNER_TAG}
    return {OWNER_TAG: tags[OWNER_TAG], **dict(list(further.items())[: MOST_OBJECT_TAGS - 1])}


def as_tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the tags in the form that most of AWS's APIs take."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def has_owner_tag(tag_list: Iterable[Mapping[str, Any]], name: str) -> bool:
    """Return whether a list of tags marks a resource of the deployment `name`.

    The keys of a tag are Key and Value, or key and value, depending on AWS's service.
    """
    tags = {(tag.get("Key", tag.get("key")), tag.get("Value", tag.get("value"))) for tag in tag_list}
    return (OWNER_TAG, name) in tags
