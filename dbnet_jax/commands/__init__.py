"""One file a command: what `run.py --mode=NAME` and `dbnet-jax NAME` do."""
