"""Hydra's program: one arm, here; with `-m` Hydra hands the grid to a launcher instead, and so to multirun.py."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import Event

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from ablation.errors import AblationError, ConfigError, DataError, Stopped
from ablation.machine.threads import check as check_threads
from ablation.store.attempt import seed_folder
from ablation.trial.program import program_of
from launch.compose import choices, errors, hydra_version, overrides, own_data, paths
from launch.compose.arm import Planned, names_of
from launch.compose.arms import compose_arms
from launch.compose.composer import Composer
from launch.compose.overrides import for_hydra
from launch.compose.teachers import stages
from launch.status import trial_status
from launch.sweep import earlier_arms, edited_code, membership, provenance, snapshot, upload
from launch.terminal import trial_progress
from launch.terminal.streams import outlive_output
from launch.terminal.working import working
from launch.workers.devices import Load, give_way
from launch.workers.signals import StopSignals, limit_saving


@hydra.main(**hydra_version.BASE, config_path=str(paths.CONF), config_name="config")
def main(config: DictConfig) -> None:
    """Hydra's task: one arm, and before it the teachers it needs, in this process."""
    load = Load()
    typed = HydraConfig.get().overrides
    with _errors_told():  # here, since Hydra would print all overrides before it raises what went wrong
        with working("composing and checking the arm"):
            planned = compose_arms([list(typed.task)], overrides.search_paths(typed.hydra))
        depth = stages(planned)
        with StopSignals() as signals:
            signals.direct_to(limit_saving, _interrupt)
            notes = give_way(load)
            for arm in sorted(planned, key=lambda p: depth[p.arm.id]):
                run_arm(arm, signals.received, notes)


def run_arm(planned: Planned, stop: Event, notes: Sequence[str] = ()) -> None:
    """Run one arm, all of its seeds; `notes` are told beside its own.

    Raises:
        AblationError: refused, or a seed failed.
        Stopped: asked to stop, after saving.
    """
    arm, config = planned.arm, planned.config
    folder = paths.make_out(config, membership.places(planned)) / arm.id
    name = names_of([planned]).short[arm.id]
    watch = trial_progress.choose_watch(name, folder, config["track"].get("mlflow", {}).get("uri"))
    others = edited_code.notes([planned])
    earlier = earlier_arms.notes(planned)
    told = [*planned.notes, *earlier, *others, *provenance.notes(), *upload.tracker_problems([config])]
    for note in [*notes, *told]:
        watch.note(note)
    own_data.require([config])
    with closing(watch):
        arm.write(folder, config)
        news = membership.join(folder.parent, arm.sweep, {arm.id: planned.seeds}, [planned])
        provenance.write(folder, planned.seeds, own=snapshot.describe_user_modules([config]))
        known = {seed: trial_status.done_at(seed_folder(folder, seed)) for seed in planned.seeds}
        outcomes = program_of(config).run(config, folder, watch, stop.is_set)
    upload.upload_news(folder.parent, news)
    watch.summary(outcomes, {seed: at for seed, at in known.items() if at is not None}, others)
    if config["trace"]:
        _tell_range_test(folder, planned.seeds, name)
    failures = [o for o in outcomes.values() if isinstance(o, AblationError)]
    if failures:
        raise failures[0]


def _tell_range_test(folder: Path, seeds: Sequence[int], name: str) -> None:
    """What a run whose learning rate rises throughout was for."""
    from results import lr_finder  # only now: no other run has a use for it

    with suppress(lr_finder.NoRangeTest):
        for line in lr_finder.show(folder, seeds, name).lines():
            print(line)


def _interrupt() -> None:
    raise KeyboardInterrupt


def cli() -> None:
    """Run Hydra."""
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    outlive_output()
    with _errors_told():
        paths.require_working_folder()
        _put_this_folder_last()
        paths.require_tmp()
        hydra_version.check()
        check_threads()
        sys.argv[1:] = for_hydra(sys.argv[1:])
        choices.refuse(sys.argv[1:])
        if {"--cfg", "-c"} & set(sys.argv):
            with hydra_version.initialized():
                Composer(overrides.search_paths(sys.argv[1:]))  # refuses files that would be shown with misread numbers
        main()


@contextmanager
def _errors_told() -> Iterator[None]:
    """What goes wrong is a message, not a traceback, and the end. Exit code 1: failed, 2: refused, 130: stopped."""
    try:
        yield
    except Stopped as e:
        sys.exit(errors.print_stopped(e))
    except (HydraException, OmegaConfBaseException, YAMLError) as e:
        errors.print_error(e)
        sys.exit(2)
    except (AblationError, OSError) as e:
        errors.print_error(e)
        sys.exit(2 if isinstance(e, ConfigError | DataError) else 1)
    except Exception as e:
        if not errors.raised_by_hydra(e):
            raise
        errors.print_error(e)
        sys.exit(2)


def _put_this_folder_last() -> None:
    """Hydra finds its plug-ins by sys.path. Python puts the folder of a script first, where our rooms (status, checks,
    ...) would hide a user's modules of these names.
    """
    here = Path(__file__).resolve().parent
    sys.path[:] = [*(place for place in sys.path if not place or Path(place).resolve() != here), str(here)]
