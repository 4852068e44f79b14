"""Training: a run of steps, its optimizers and schedules, its examples, and when it ends."""
