"""Picture files to batches of pixels."""
