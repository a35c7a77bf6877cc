"""What a person sees: one table of arms, one view of progress, and what is said at the end."""
