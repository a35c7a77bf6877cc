"""`ablation VERB [SWEEP]`: one verb, one file of its name here, and its line in _VERBS."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Sequence
from typing import Any

import click

from ablation.build import near
from ablation.errors import AblationError, ConfigError
from ablation.store.file_errors import in_words
from launch.compose import paths
from launch.terminal.streams import outlive_output

_VERBS = {  # in the order in which they are needed; here, so that the list of them imports none
    "run": "Train one arm, or with -m every arm of a grid.",
    "sweeps": "Which sweeps there are, and how each stands.",
    "status": "How a sweep stands: arms, totals, hours.",
    "watch": "Follow a sweep live until it is over.",
    "cancel": "Cancel trials that are not done.",
    "retry": "Run again what failed, stopped, was cancelled or never started.",
    "redo": "Set trials aside, so that their command trains them again.",
    "explain": "What a run is and whether it is stale, or how two runs differ.",
    "logs": "What happened to trials, and what went wrong.",
    "sync": "Upload to MLflow what it lacks: all trials, or those of a sweep.",
    "table": "List the tables, show the rows of one, or what rows lack today.",
    "fill": "Put what the runs say between the markers of notes.",
    "check": "Tell whether the notes still say what the runs say.",
    "lr": "The learning rate that a range test (recipe=lr_finder) suggests.",
}


class Verbs(click.Group):
    """Imports a verb when it is used: one need not wait for another's libraries."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs."""
        return list(_VERBS)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """A line for each."""
        with formatter.section("Commands"):
            formatter.write_dl([*_VERBS.items()])

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command of this name."""
        if name not in _VERBS:
            raise click.UsageError(f"{name}: no such verb; {near(name, _VERBS)}", ctx)
        command: click.Command = getattr(importlib.import_module(f"launch.cli.{name}"), name)
        return command


@click.command(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def group() -> None:
    """Train, and look after sweeps that were started with `ablation run -m`: from any shell, at any time.

    \b
    Verbs take a sweep's name; without one they take the sweep submitted last.
    Each knows --json: one JSON object on standard output, and nothing else.

    \b
    Exit codes: 0  fine
                1  something failed, or is missing
                2  wrong usage, or an unknown name
                130  stopped by Ctrl-C
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb; returns the exit code."""
    if arguments is None:
        outlive_output()
    typed = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    try:
        paths.ensure_home()
        if not {"-h", "--help"} & set(typed):
            paths.require_working_folder()
        code: Any = group.main(typed, prog_name="ablation", standalone_mode=False)
    except click.UsageError as e:
        return _refuse(typed, f"{e.format_message()}\n{_hint(e)}", 2)
    except ConfigError as e:
        return _refuse(typed, str(e), 2)
    except AblationError as e:
        return _refuse(typed, str(e), 1)
    except OSError as e:
        return _refuse(typed, in_words(e), 1)
    except (click.Abort, KeyboardInterrupt):
        return 130
    return code if isinstance(code, int) else 0


def _hint(e: click.UsageError) -> str:
    return f"see {e.ctx.command_path if e.ctx else 'ablation'} --help"


def _refuse(typed: Sequence[str], message: str, code: int) -> int:
    """Say what is wrong, on standard error; to a program on standard output too, since it reads that."""
    if "--json" in typed:
        click.echo(json.dumps({"error": message}))
    click.echo(f"error: {message}", err=True)
    return code
