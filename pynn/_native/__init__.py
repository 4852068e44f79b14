"""The only modules that call C: they turn arrays into pointers and statuses into exceptions."""
