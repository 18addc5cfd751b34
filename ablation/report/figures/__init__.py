"""Figures of a report. A function draws one figure and saves nothing."""
