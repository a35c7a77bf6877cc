"""What a few real steps tell before many are run: cost, a canary, and settings without an effect."""
