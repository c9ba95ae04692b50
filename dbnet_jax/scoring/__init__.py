"""What `dbnet_jax.evaluation` pairs and measures with, and what is made of it: reports, pages, scores of files."""
