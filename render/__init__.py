"""Audio to spectrogram pictures."""
