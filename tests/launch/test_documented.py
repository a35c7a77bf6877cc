"""What README, docs/ and the comments in conf/ tell people to type composes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny import CONF

from launch.compose.arms import compose_arms
from launch.compose.hydra_version import initialized
from launch.tables.request import parse_request
from tests.launch.typed import expanded

ROOT = Path(CONF).parent
# Examples in comments as they stand there, and what has to be chosen for them to mean something.
COMMENTED = {
    "model/timm.yaml": ["model=timm model.name=vit_tiny_patch16_224 model.arguments={patch_size: 2}"],
    "model/resnext_cifar.yaml": ["model=resnext_cifar model.spp=[3,5,7]", "model=resnext_cifar model.spp=[]"],
    "model/swin_t.yaml": ["model=swin_t model.strides=[2, 2, 2] data=arrays data.path=x.npz"],
    "model/mobilevit_s.yaml": ["model=mobilevit_s model.strides=[2, 1, 2, 2, 2, 1]"],
    "aug/pca_lighting.yaml": ["aug=pca_lighting aug.pca_lighting.basis=[[1, 0, 0], [0, 1, 0], [0, 0, 1]]"],
    "aug/gaussian_noise.yaml": ["aug=gaussian_noise aug.gaussian_noise.sigma=[0.0, 0.2]"],
    "hydra/launcher/local.yaml": ["-m hydra.launcher.gpus=[0,1] epochs=1,2"],
    "hydra/launcher/slurm.yaml": [
        "-m hydra/launcher=slurm +hydra.launcher.resources.reservation=x epochs=1,2",
        "-m hydra/launcher=slurm hydra.launcher.setup=['module load cuda'] hydra.launcher.resources.time=4:00:00",
    ],
    "config.yaml": ["aug=[cutout,mixup]", "seeds=[0,1]", "teacher='model=resnet56 epochs=30' loss=distill"],
    "data/digits.yaml": ["data.view={random_resized_crop: {scale: [0.35, 1.0]}}", "data.subset='first:0.5'"],
}


def _typed() -> Iterator[tuple[str, list[str]]]:
    """The command lines of README and docs/, but for those that need files of one's own or are no whole lines."""
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        text = page.read_text().replace("\\\n", " ")
        for line in re.findall(r"python launch/run\.py((?:(?!&&)[^`\n])*+)(?!\nerror:)", text):
            if not re.search(r"-sc |--cfg |\.\.\.|searchpath=|\+aug\.mine|hydra/launcher=basic", line):
                yield page.name, shlex.split(line, comments=True)


@pytest.fixture(autouse=True, scope="module")
def hydra() -> Iterator[None]:
    with initialized():
        yield


@pytest.mark.parametrize(
    ("page", "words"), list(_typed()), ids=lambda said: said if isinstance(said, str) else " ".join(said)
)
def test_the_lines_of_the_pages(page: str, words: list[str]) -> None:
    arms = expanded([word for word in words if not word.startswith("table=")])
    if re.search(r"table=|hydra\.sweeper", " ".join(words)):
        arms = [list(row.overrides) for row in parse_request(words).rows]
    assert arms
    assert compose_arms(arms)


@pytest.mark.parametrize(("file", "line"), [(file, line) for file, lines in COMMENTED.items() for line in lines])
def test_the_examples_in_comments(file: str, line: str) -> None:
    assert (Path(CONF) / file).is_file()
    assert compose_arms(expanded(re.split(r" (?=[-+\w./]+(?:=|$))(?![^\[{']*[\]}'])", line)))


def test_every_example_of_a_mapping_or_list_is_tried() -> None:
    """A comment with `such as {...}` or `[...]` has its line above."""
    found = {
        file.relative_to(CONF).as_posix()
        for file in Path(CONF).rglob("*.yaml")
        if re.search(r"#.*(such as|or the) [\[{]|#.*The paper's: \[", file.read_text())
    }
    assert found
    assert found <= set(COMMENTED)
