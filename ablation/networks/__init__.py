"""Networks: which there are, what they can be asked for, how they are built, what they cost."""
