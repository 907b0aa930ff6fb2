"""Clips to spectrogram pictures."""
