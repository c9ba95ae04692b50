"""The official code's names of our maps."""

OUTPUTS = {"probability_map": "binary", "threshold_map": "thresh", "binary_map": "thresh_binary"}
LABELS = {"shrink_map": "gt", "shrink_mask": "mask", "threshold_map": "thresh_map", "threshold_mask": "thresh_mask"}
