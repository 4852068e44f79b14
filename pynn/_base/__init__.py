"""Helpers for all modules: arrays, checks, errors, files. Nothing here knows of networks or C."""
