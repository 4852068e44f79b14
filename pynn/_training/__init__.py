"""Training: the engine, the trainer, optimizers, schedules, examples and early stopping."""
