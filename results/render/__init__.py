"""A table as text: for terminals, notes, spreadsheets, papers and programs."""
