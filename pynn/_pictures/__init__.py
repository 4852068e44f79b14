"""Reading pictures of digits for networks that were trained on MNIST; Pillow decodes them."""
