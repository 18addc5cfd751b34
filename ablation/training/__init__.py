"""Training of one run. Everything here loads Keras and its backend."""
