"""What the machine offers, what has to be known of it, and what it is blamed for."""
