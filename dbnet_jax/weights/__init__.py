"""Weights files, model cards, run folders, initial weights and the shipped weights."""
