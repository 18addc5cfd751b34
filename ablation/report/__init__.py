"""Tables and figures of a study. Imports no TensorFlow."""

PAGE = "report.html"
"""The page of a study, in its folder."""
