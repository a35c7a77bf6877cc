"""Published tables: from a file in `conf/table` to rows, to a report of their runs, and to the blocks of the notes."""
