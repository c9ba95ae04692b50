"""Statistics of a data set and of its training examples."""
