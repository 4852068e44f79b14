"""Other formats than pynn's own: what reads or writes each is in the module of its name."""
