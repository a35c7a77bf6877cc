import pytest
from torchvision.transforms import v2

from ablation.aug.auto_augment import POLICIES, auto_augment
from tests.aug.outcomes import SIDE, Choice, same_law, signed


@pytest.mark.parametrize("policy", POLICIES)
def test_has_torchvisions_law(policy: str) -> None:
    theirs = v2.AutoAugment(v2.AutoAugmentPolicy(policy))

    def step(name: str, p: float, level: int | None) -> list[Choice]:
        magnitudes, signs = theirs._AUGMENTATION_SPACE[name]
        changes = signed(name, magnitudes(10, SIDE, SIDE), level or 0, signs)
        return [(1 - p, None), *((p * q, change) for q, change in changes)]

    same_law(auto_augment(policy), [[step(*operation) for operation in pair] for pair in theirs._policies])


@pytest.mark.parametrize(("arguments", "named"), [({"policy": "cifar"}, "policy"), ({"fill": "white"}, "fill")])
def test_refuses(arguments: dict[str, str], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}: "):
        auto_augment(**arguments)
