"""The networks of earlier projects, in timm's registry: importing this package registers them.

They read a grey picture as a sequence: its rows are features, its columns time.
"""

from train.models.sequence import attention_cnn1d, cnn_mel, recurrent, small_cnn

__all__ = ["attention_cnn1d", "cnn_mel", "recurrent", "small_cnn"]
