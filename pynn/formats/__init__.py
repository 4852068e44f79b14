"""Models in the formats of others, besides pynn's own (`Model.save`, `pynn.load`).

nn_rust   files of the original Rust library: load, save
onnx      what `Model.export_onnx` writes
c         what `Model.export_c` writes

Each is imported by itself, as in `from pynn.formats import nn_rust`.
"""
