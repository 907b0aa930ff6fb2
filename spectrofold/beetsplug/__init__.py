"""Plugins of beets; a folder for its pluginpath."""
