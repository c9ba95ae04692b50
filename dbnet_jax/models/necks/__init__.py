"""Necks: from the four feature maps of a backbone to the four levels of a pyramid."""
