"""What a trial is: data, model, tricks, one loop, checkpoint, journal.

`ablation` imports neither Hydra nor `launch` nor `results`; of SLURM it reads environment variables only.
"""

import os

# OpenMP reads these when torch loads it, so they have to be set before that. By default its threads wait for each other
# by spinning, which slows a step down beside another busy process (docs/speed.md). Ours spin shortly and then sleep.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("GOMP_SPINCOUNT", "2000")
