"""What `tests.warm` imports once; nothing here computes, so that processes can be forked."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # read when huggingface_hub is imported

import networkx  # noqa: F401  # torch imports it when it traces a network
import onnxruntime  # noqa: F401
import onnxscript.function_libs.torch_lib.ops
import onnxscript.optimizer  # noqa: F401
import sklearn.linear_model  # noqa: F401

import train.pipeline  # noqa: F401
