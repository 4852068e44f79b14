"""Models in the formats of others, besides pynn's own (`Model.save`, `pynn.load`).

nn_rust   files of the original Rust library: load, save
pytorch   state_dicts of PyTorch: load, save, state_dict
onnx      what `Model.export_onnx` writes
c         what `Model.export_c` writes

Each is imported by itself, as in `from pynn.formats import nn_rust`.
"""
