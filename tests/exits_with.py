"""What a child may do: end with the exit code that is ordered."""


def work(order):
    return int(order), ""
