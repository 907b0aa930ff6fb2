"""Spectrograms and labels to classifiers that one can trust.

import spectrofold

spectrofold.render("MUSIC", "spectrograms")              # songs in class folders -> pictures
run = spectrofold.train("spectrograms", epochs=5)        # pictures -> a run folder
model = spectrofold.load(run / "model.pth")
print(model("song.mp3").label)
"""

from spectrofold.api import load, predict, render, train

__all__ = ["load", "predict", "render", "train"]
