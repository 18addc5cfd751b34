"""Networks by name. Import `specs` alone where TensorFlow must not be loaded."""
