"""What is run, and where: the Hydra entry and everything around a trial."""
