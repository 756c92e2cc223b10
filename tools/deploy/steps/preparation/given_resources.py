"""The step that checks what the user has made and the configuration names: role, key, image, places of a batch job."""

from tools.deploy.steps.preparation.image_format import describe_image
from tools.deploy.steps.preparation.named_resources import check_batch_place, check_key, check_named_role
from tools.deploy.steps.step import Step


class GivenResourcesStep(Step):
    """Refuses what does not exist or cannot be used, before anything is created. The step creates nothing."""

    title = "given resources"
    only_checks = True

    def is_needed(self) -> bool:
        """Return whether the configuration names one of them."""
        config = self._config
        return bool(config.kms_key or config.role_arn or config.image_uri) or not config.has_endpoint

    def change(self) -> str | None:
        """Check what the configuration names. There is never a change to describe, so the return value is None.

        Raises: ToolError if AWS would refuse it.
        """
        self.unknown()
        return None

    def unknown(self) -> list[str]:
        """Check what the configuration names, and return what the caller may not ask AWS about."""
        config, found = self._config, list[str]()
        if config.role_arn:
            found.append(check_named_role(self._deployment))
        if config.kms_key:
            found.append(check_key(self._deployment))
        if config.image_uri and not config.has_private_registry and describe_image(self._deployment) is None:
            found.append(f"the image {config.image_uri} was not checked, because you may not ask its registry about it")
        if not config.has_endpoint:
            places = (("--batch-input", config.batch_input, True), ("--batch-output", config.batch_output, False))
            for flag, uri, holds_files in places:
                found.append(check_batch_place(self._deployment, flag, uri, holds_files=holds_files))
        return [text for text in found if text]

    def apply(self) -> None:
        """Do nothing. The check is in `change`."""
