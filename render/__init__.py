"""Audio to spectrogram pictures.
from render import RenderSettings, pictures_of
settings = RenderSettings.from_json(Path("spectrograms/render.json").read_text())
for start_s, end_s, picture in pictures_of("song.mp3", settings):
    ...
"""

from render.audio.stream import pictures_of
from render.settings import RenderSettings

__all__ = ["RenderSettings", "pictures_of"]
