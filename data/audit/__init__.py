"""What can be found in an image folder before anything is trained on it."""
