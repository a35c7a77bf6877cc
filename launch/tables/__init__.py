"""Published tables: from a file in `conf/table` to rows, a report, and the blocks of the notes."""
