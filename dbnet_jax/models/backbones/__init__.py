"""Backbones: from normalised images to four feature maps at strides 4, 8, 16 and 32."""
