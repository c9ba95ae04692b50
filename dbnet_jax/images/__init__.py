"""Pixels: decoding, resizing, normalisation, drawing."""
