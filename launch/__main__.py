"""`python -m launch VERB`: the same as the console script `ablation`."""

import sys

from launch.verbs import main

sys.exit(main())
