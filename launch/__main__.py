"""`python -m launch VERB`: the same as the console script `ablation`."""

import sys

from launch.cli import main

sys.exit(main())
