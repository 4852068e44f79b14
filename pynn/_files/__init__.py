"""Model files and checkpoints: safetensors."""
