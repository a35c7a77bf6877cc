"""From a command line to checked arms: overrides, options, grid, ids, names, teachers, and words for mistakes."""
