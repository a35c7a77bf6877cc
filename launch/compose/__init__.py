"""From a command line to checked arms: overrides, grids, ids, names, teachers, warnings, and what errors say."""
