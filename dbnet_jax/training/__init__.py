"""Training: state, step, checkpoints, logs, metrics, preemption."""
