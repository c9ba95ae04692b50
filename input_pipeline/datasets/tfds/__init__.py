"""The benchmarks as TensorFlow Datasets."""
