"""Array operations without a network: bilinear sampling and convolution."""
