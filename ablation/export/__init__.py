"""Stored studies for experiment trackers: TensorBoard, MLflow, Weights & Biases."""
