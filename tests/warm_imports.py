"""What `tests.warm` imports once; nothing here computes, so that processes can be forked."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # read when huggingface_hub is imported

import onnxruntime  # noqa: F401
import sklearn.linear_model  # noqa: F401

import train.pipeline  # noqa: F401
