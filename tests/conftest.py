"""One thread a test process: xdist runs one process a core. Set before torch is imported; children inherit it."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
