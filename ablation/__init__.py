"""What a trial is: data, model, tricks, one loop, checkpoint, journal. Knows neither Hydra nor SLURM."""

import os

# OpenMP reads these when torch loads it, so they have to be set before that. By default its threads wait for each other
# by spinning: beside another busy process a step then takes up to three times as long as it should. Sleeping at once
# costs an idle machine some percent; a short spin first (about 10 microseconds) gets most of that back.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("GOMP_SPINCOUNT", "2000")
