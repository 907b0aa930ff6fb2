"""Audio to spectrogram pictures.

from render import RenderSettings, pictures_of
settings = RenderSettings.from_json(Path("spectrograms/render.json").read_text())
for start_s, end_s, picture in pictures_of("song.mp3", settings):
    ...
"""

from render.settings import RenderSettings
from render.stream import pictures_of

__all__ = ["RenderSettings", "pictures_of"]
