"""Learned pickers: datasets, networks, training, models."""
