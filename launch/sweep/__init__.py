"""Sweeps on disk: submissions frozen with their code, the arms under `out` found again, and their upload to MLflow."""
