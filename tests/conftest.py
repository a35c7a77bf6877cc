"""Shared by all tests: composing configurations, tiny trials, and the options found in conf/."""

from __future__ import annotations

import os

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
