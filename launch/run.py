"""`python launch/run.py [group=option ...] [key=value ...]`: one arm, here; with `-m`, every arm of a grid."""

import sys


def cli() -> None:
    """Run it. Ctrl-C before anything is trained is no error, not even while libraries are imported: exit code 130."""
    try:
        from launch.compose.paths import ensure_home

        ensure_home()  # before anything looks for its cache there

        from launch import one_arm

        one_arm.cli()
    except KeyboardInterrupt:
        print("stopped before anything was trained; the same command begins anew", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    cli()
