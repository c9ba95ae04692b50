"""Weights: files of them, model cards, run folders, initial weights, the shipped ones."""
