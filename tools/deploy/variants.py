"""The variants of an endpoint, each of which gets a share of the traffic."""

from pydantic import BaseModel, ConfigDict

from container.precision import PRECISIONS, Precision

WHOLE_VARIANT = "AllTraffic"  # the name of a variant that serves all precisions


class Variant(BaseModel):
    """A share of an endpoint's traffic.

    If `precision` is None, the variant serves all precisions, and each request chooses one.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    precision: Precision | None
    weight: float


def parse_traffic(text: str) -> list[Variant]:
    """Return the variants of a text such as INT8=90,FP32=10.

    Raises: ValueError if the text does not have this form.
    """
    if not text:
        return [Variant(name=WHOLE_VARIANT, precision=None, weight=1)]
    variants = []
    for part in text.split(","):
        name, _, weight = part.strip().partition("=")
        precision = next((p for p in PRECISIONS if p == name.upper()), None)
        if precision is None or not weight.replace(".", "", 1).isdigit():
            raise ValueError("must list precisions with their shares of the traffic, such as INT8=90,FP32=10")
        variants.append(Variant(name=precision, precision=precision, weight=float(weight)))
    if len({variant.name for variant in variants}) < len(variants):
        raise ValueError("must not name a precision twice")
    if not any(variant.weight for variant in variants):
        raise ValueError("must give at least one precision a share of more than 0")
    return variants
