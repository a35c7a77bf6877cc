import pytest
from torchvision.transforms import v2

from ablation.aug.trivial_augment import strength, trivial_augment
from tests.aug.outcomes import SIDE, Choice, same_law, signed

SPACE = v2.TrivialAugmentWide()._AUGMENTATION_SPACE
NAMES = {
    "shear_x": "ShearX", "shear_y": "ShearY", "pixels_x": "TranslateX", "pixels_y": "TranslateY", "rotate": "Rotate",
    "brightness": "Brightness", "color": "Color", "contrast": "Contrast", "sharpness": "Sharpness",
    "posterize": "Posterize", "solarize": "Solarize",
}  # fmt: skip


def test_has_torchvisions_law() -> None:
    bins = 4
    step: list[Choice] = [
        (p / len(SPACE) / bins, change)
        for name, (magnitudes, signs) in SPACE.items()
        for level in range(bins)
        for p, change in signed(name, magnitudes(bins, SIDE, SIDE), level, signs)
    ]
    same_law(trivial_augment(bins), [[step]])


@pytest.mark.parametrize("name", NAMES)
def test_strengths_are_torchvisions_to_the_bit(name: str) -> None:
    found = [strength(name, level, 31) for level in range(31)]
    assert found == SPACE[NAMES[name]][0](31, SIDE, SIDE).tolist()


@pytest.mark.parametrize(
    ("arguments", "named"), [({"bins": 1}, "bins"), ({"bins": 2.5}, "bins"), ({"fill": "white"}, "fill")]
)
def test_refuses(arguments: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}: "):
        trivial_augment(**arguments)  # type: ignore[arg-type]
