"""The C library for Python: array to pointer, status to exception. Only here C is called."""
