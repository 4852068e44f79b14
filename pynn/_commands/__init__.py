"""The commands `pynn train`, `pynn predict` and others; scripts/ calls them for a clone, too."""
