"""Backbones, classifiers and the model file."""
