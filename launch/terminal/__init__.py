"""What a person sees of runs and sweeps: tables of arms, progress during training, and the summary at the end."""
