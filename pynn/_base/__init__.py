"""What all modules stand on: arrays, checks, errors, files; nothing of networks or of C."""
