"""A step of training, explained: every value, every gradient, and the line of C that made it."""
