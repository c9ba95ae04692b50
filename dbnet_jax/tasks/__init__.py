"""The tasks: one file a task, which hands its data, model, loss and evaluation to training."""
