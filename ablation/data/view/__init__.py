"""Standard crops and flips: file `<name>.py` has a factory `<name>(pad, ...) -> View`, and `data.view=<name>` finds it.

Its other arguments nest under its name: `data.view={random_resized_crop: {scale: [0.35, 1.0]}}`.
"""
