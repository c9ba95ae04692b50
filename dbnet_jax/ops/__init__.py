"""Array operations that know no network: bilinear sampling, convolution."""
