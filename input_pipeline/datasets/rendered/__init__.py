"""Data sets of rendered pictures."""
