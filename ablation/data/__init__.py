"""Images from a data set's name to normalised batches."""
