"""What a trial keeps on disk, and who may write it. Needs no torch but for checkpoints."""
