"""What numbers of a few seeds can bear."""
