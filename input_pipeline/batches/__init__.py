"""Training batches from examples: by tf.data, or by threads."""
