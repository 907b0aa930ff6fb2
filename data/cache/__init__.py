"""Decoded pictures, kept on disk."""
