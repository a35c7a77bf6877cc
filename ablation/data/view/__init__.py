"""Standard crops and flips: file `<name>.py` has a factory `<name>(pad) -> View`, and `data.view=<name>` finds it."""
