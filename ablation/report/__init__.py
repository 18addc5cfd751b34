"""Tables and figures of a study. Imports no TensorFlow."""
