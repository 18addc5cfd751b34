"""Training of one run. All but `hang` loads Keras and its backend."""
