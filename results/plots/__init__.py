"""Pictures of a table, as matplotlib Figures: no window, no global state, nothing read but what is handed in."""
