"""One thread a test process: xdist runs one process a core. Set before torch is imported; children inherit it."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
# Machines are shared: that others slow a test down is no failure of it.
settings.register_profile("shared", suppress_health_check=[HealthCheck.too_slow], deadline=None)
settings.load_profile("shared")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """One process runs the tests that share the cluster, one those of the browser: pytest 9.2 loses xdist's groups."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return next((name for name in ("slurm", "ui") if f"tests/{name}/" in nodeid), nodeid)

    return Scheduling(config, log)
