"""`ablation run`: what `python launch/run.py` does, from any folder and without a checkout."""

from __future__ import annotations

import sys

import click


@click.command(add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("overrides", nargs=-1, type=click.UNPROCESSED)
def run(overrides: tuple[str, ...]) -> int:
    """Train one arm, or with -m every arm of a grid.

    Overrides are Hydra's, such as `ablation run -m aug=cutout,mixup sched=cosine`; --help lists the options.
    """
    from launch.run import cli

    sys.argv[1:] = overrides
    cli()
    return 0
