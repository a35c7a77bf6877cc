"""What is found out before trials are trained: their cost, whether they run at all, and settings without an effect."""
