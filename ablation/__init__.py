"""What a trial is: data, model, tricks, one loop, checkpoint, journal. Knows neither Hydra nor SLURM."""
