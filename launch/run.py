"""`python launch/run.py [group=option ...] [key=value ...]`: one trial; with `-m`, one for each combination."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from threading import Event, current_thread, main_thread

import hydra
from hydra import compose
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from ablation import trial
from ablation.errors import AblationError, ConfigError, DataError, Stopped
from ablation.parts import parts
from launch import arm, console, messages, provenance


@hydra.main(version_base="1.3", config_path="../conf", config_name="config")
def main(config: DictConfig) -> None:
    """Hydra's task: run one arm. A failure is told at once: Hydra goes on with the sweep's other arms."""
    try:
        run_arm(config)
    except (AblationError, OSError) as e:
        messages.tell(e)
        raise


def run_arm(config: DictConfig) -> None:
    """Run one arm, all of its seeds.

    Raises:
        AblationError: refused, or a seed failed.
        Stopped: on Ctrl-C or SIGTERM, after saving.
    """
    hydra_config = HydraConfig.get()
    overrides = list(hydra_config.overrides.task)
    settled, notes = arm.settle(arm.plain(config), overrides)
    described = arm.describe(
        settled,
        _defaults(),
        hydra_config.runtime.choices,
        overrides,
        command=messages.command(overrides),
    )
    built = parts(settled)
    folder = Path(settled["out"]) / described.id
    watch = console.choose(described.name, folder, settled["track"].get("mlflow", {}).get("uri"))
    for note in [*notes, *described.notes(folder.parent, settled)]:
        watch.note(note)
    with _stop_on_signal() as stop, closing(watch):
        described.write(folder, settled)
        provenance.write(folder)
        outcomes = trial.run(settled, built, folder, watch, stop.is_set)
    watch.summary(outcomes)
    failures = [o for o in outcomes.values() if isinstance(o, AblationError)]
    if failures:
        raise failures[0]


@cache
def _defaults() -> arm.Config:
    return arm.plain(compose("config"))


@contextmanager
def _stop_on_signal() -> Iterator[Event]:
    """Ctrl-C and SIGTERM ask the training to save and stop; a second Ctrl-C ends it at once."""
    stop = Event()
    if current_thread() is not main_thread():
        yield stop
        return

    def ask(number: int, _: object) -> None:
        stop.set()
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def cli() -> None:
    """Run Hydra; what went wrong is a message, not a traceback. Exit code 1: failed, 2: refused, 130: stopped."""
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    try:
        main()
    except Stopped as e:
        sys.exit(messages.stopped(e))
    except (HydraException, OmegaConfBaseException) as e:
        messages.tell(e)
        sys.exit(2)
    except (AblationError, OSError) as e:
        sys.exit(2 if isinstance(e, ConfigError | DataError) else 1)


if __name__ == "__main__":
    cli()
