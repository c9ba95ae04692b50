"""How `dbnet_jax.torch_weights` reads PyTorch's files, names and layouts, and tells which model they are of."""
