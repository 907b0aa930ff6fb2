"""Networks that were trained on sound, in timm's registry: importing this package registers them.

They read the levels of pictures that `python -m render --preset audioset` draws.
"""

from train.models.audio import mobilenet

__all__ = ["mobilenet"]
