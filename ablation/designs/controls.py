"""Controls: what stands beside the arms of a design, so that a reader can tell what they mean.

A control asks nothing: no question of a design names one, and no correction counts it.
"""

SHAM, CAPACITY, LESION = "sham", "capacity", "lesion"

CONTROLS = {
    SHAM: "the arm that others are compared with, with other initial weights",
    CAPACITY: "arms that lost parameters, widened to as many as the full network has",
    LESION: "the trained full network with a part switched off, not retrained",
}
"""What `control=` may name, and what it is."""

OF_SHAM = 0
"""The place of the arm that a sham copies: the first, with which others are compared."""
