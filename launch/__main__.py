"""`python -m launch VERB`: the same as the console script `ablation`."""

import sys

from launch.run import Opening


def main() -> int:
    """Run a verb; returns the exit code. Ctrl-C is no error, not even while libraries are imported."""
    try:
        with Opening(""):
            from launch.cli import main as cli

        return cli()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
