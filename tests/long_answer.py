"""A child whose answer is as long as it is asked for."""


def work(line):
    return 0, "x" * int(line)
