"""What is compared: in which direction it is better, and how it is printed."""

from __future__ import annotations

from dataclasses import dataclass

from ablation.errors import ConfigError

BEST = "best_test_acc"
_CLOCKED = ("images_per_s", "seconds", "peak_mem_mib")  # depend on the machine
_COUNTED = ("params", "weight_mib")  # follow from the configuration: without noise
_OTHERS = {  # name -> whether more is better, decimals, words
    "images_per_s": (True, 0, "training speed, images per second"),
    "seconds": (False, 1, "training time, seconds"),
    "peak_mem_mib": (False, 0, "peak memory, MiB"),
    "params": (False, 0, "number of parameters"),
    "weight_mib": (False, 2, "size of the weights, MiB"),
}
_WORDS = {
    "test_acc": "test accuracy of the last epoch, %",
    BEST: "test accuracy of the best epoch, selected on the test set, %",
    "raw_test_acc": "test accuracy of the last epoch with the trained weights instead of their average, %",
    "val_acc": "validation accuracy of the last epoch, %",
    "train_acc": "training accuracy of the last epoch, %",
    "test_loss": "test loss of the last epoch",
    "train_loss": "training loss of the last epoch",
}
_LESS = ("err", "paper_err", "loss", "params_m", "gpu_mem_mib", "gflops", "minutes_per_epoch")  # only reported
_SPLITS = [
    f"{weights}{split}_{score}" for weights in ("", "raw_") for split in ("test", "val") for score in ("acc", "loss")
]
RESULTS = tuple(dict.fromkeys([*_WORDS, *_SPLITS, *_OTHERS]))  # those of several averages have longer names


@dataclass(frozen=True)
class Metric:
    """A number of a finished trial."""

    name: str
    more: bool  # is better
    digits: int  # decimals that are printed
    words: str

    @property
    def spoken(self) -> str:
        """What stands in a sentence: `test accuracy of the last epoch, in %`."""
        what, comma, unit = self.words.rpartition(", ")
        return f"{what}, in {unit}" if comma else unit

    def signed(self, value: float) -> str:
        """A difference: `+0.55`. What rounds to nothing is `+0.00`, whatever its sign was."""
        return f"{value:+z.{self.digits}f}"

    @property
    def clocked(self) -> bool:
        """Whether it depends on the machine."""
        return self.name in _CLOCKED

    @property
    def counted(self) -> bool:
        """Whether it follows from the configuration, so that there is no noise to test against."""
        return self.name in _COUNTED

    @property
    def held_out(self) -> bool:
        """Whether it is measured on the images held out instead of the test images."""
        return "val_" in self.name

    def better(self, difference: float) -> bool:
        """Whether a difference, arm less baseline, is for the better."""
        return difference > 0 if self.more else difference < 0


def metric(name: str) -> Metric:
    """The metric of this name.

    Raises:
        ConfigError: nobody knows whether more of it is better.
    """
    if name in _OTHERS:
        return Metric(name, *_OTHERS[name])
    if name.endswith("_acc"):
        return Metric(name, True, 2, _WORDS.get(name, f"{name}, %"))
    if name.endswith("_loss"):
        return Metric(name, False, 4, _WORDS.get(name, name))
    raise ConfigError(
        f"hydra.launcher.metric={name}: it is not known whether more of it is better; give one of {', '.join(RESULTS)}"
    )


def reported(name: str) -> Metric:
    """How a number is printed that somebody reported: it may be one that no run of ours measures."""
    if name in _WORDS or name in _OTHERS:
        return metric(name)
    return Metric(name, name not in _LESS, 4 if name.endswith("loss") else 2, name)
