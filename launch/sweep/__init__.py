"""A sweep on disk: what was asked for, frozen with its code, found again, and uploaded to MLflow."""
