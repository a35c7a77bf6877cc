"""How every trial of a sweep stands, why it failed, and whether it is tried again."""
