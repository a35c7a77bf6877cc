"""What is run, and where: the Hydra entry and everything around a trial."""

import ablation as _first  # noqa: F401  # whichever module is imported first: it sets what OpenMP reads when torch loads
