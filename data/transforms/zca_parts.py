"""What a ZCA whitening is made of: published ones differ, and share the name."""

import dataclasses
import math

_YES, _NO = ("yes", "on", "true", "1"), ("no", "off", "false", "0")


@dataclasses.dataclass(frozen=True)
class ZCAParts:
    """The parts of a whitening, in the order in which they are applied.

    Attributes:
        channels: standardise each channel over the training images.
        mean_image: take away the mean of the training images, pixel by pixel.
        image_mean: take away each image's own mean.
        image_norm: divide by each image's own norm.
        regularisation: r, what is added to each eigenvalue, relative to their mean.

    Raises:
        ValueError: if `regularisation` is not positive.
    """

    channels: bool = True
    mean_image: bool = False
    image_mean: bool = True
    image_norm: bool = True
    regularisation: float = 0.1

    def __post_init__(self) -> None:
        if not (math.isfinite(self.regularisation) and self.regularisation > 0):
            raise ValueError(
                f"`regularisation` must be a positive number, got {self.regularisation}"
            )

    @property
    def kind(self) -> str:
        """What files and reports call them, such as `zca` or `zca-rfad`; not the regularisation."""
        usual = dataclasses.replace(self, regularisation=KIP.regularisation)
        for name, parts in VARIANTS.items():
            if parts == usual:
                return name
        changed = [
            f"{field.name}={'yes' if getattr(self, field.name) else 'no'}"
            for field in dataclasses.fields(self)
            if field.type is bool and getattr(self, field.name) != getattr(KIP, field.name)
        ]
        return f"zca:{','.join(changed)}"


KIP = ZCAParts()
# Of KIP and Label Solve; of RFAD, whose SVHN sets are like those of KIP; and of FRePo.
VARIANTS = {
    "zca": KIP,
    "zca-rfad": ZCAParts(image_mean=False, image_norm=False),
    "zca-frepo": ZCAParts(mean_image=True, image_mean=False, image_norm=False),
}


def parse_zca(text: str) -> ZCAParts:
    """Return the parts that a text names: a variant, and changes to it behind a colon.

    Args:
        text: such as `zca`, `zca-rfad` or `zca:image_norm=no,regularisation=0.01`.

    Raises:
        ValueError: if the variant, a part or its value is unknown.
    """
    name, _, changes = text.partition(":")
    if name not in VARIANTS:
        raise ValueError(f"unknown whitening {name!r}, expected one of {', '.join(VARIANTS)}")
    fields = {field.name: field.type for field in dataclasses.fields(ZCAParts)}
    changed: dict[str, bool | float] = {}
    for change in filter(None, changes.split(",")):
        part, _, value = change.partition("=")
        if part not in fields:
            raise ValueError(f"unknown part {part!r} of `zca`, expected one of {', '.join(fields)}")
        changed[part] = _number(part, value) if part == "regularisation" else _flag(part, value)
    return dataclasses.replace(VARIANTS[name], **changed)  # type: ignore[arg-type]


def _flag(part: str, value: str) -> bool:
    if value.lower() in (*_YES, *_NO):
        return value.lower() in _YES
    raise ValueError(f"`{part}` of `zca` must be yes or no, got {value!r}")


def _number(part: str, value: str) -> float:
    try:
        return float(value)
    except ValueError as error:
        raise ValueError(f"`{part}` of `zca` must be a number, got {value!r}") from error
