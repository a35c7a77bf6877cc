import warnings

import hydra
import pytest
from hydra import compose

from ablation.errors import ConfigError
from launch.compose.hydra_version import check, initialized


def test_an_older_hydra_is_refused_on_a_python_that_it_cannot_start_on() -> None:
    with pytest.raises(
        ConfigError, match=r"Hydra 1\.\d+\.\w+ does not start on Python 3\.14: install a later one"
    ) as e:
        check((3, 14), old=True)
    assert hydra.__version__ in str(e.value)
    check((3, 14), old=False)
    check((3, 13), old=True)
    check()


def test_this_hydra_composes_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with initialized():
            assert compose("config").epochs > 0
