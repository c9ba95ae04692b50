"""Necks: from the four feature maps of a backbone to one at stride 4."""
