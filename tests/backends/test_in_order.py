"""Batches that a thread prepares ahead."""

import threading

from ablation.backends.in_order import ahead


def test_batches_come_in_their_order_and_end():
    assert list(ahead(iter([1, 2, 3, 4, 5]))) == [1, 2, 3, 4, 5]


def test_who_leaves_off_does_not_wait_for_what_is_being_prepared():
    may_go_on = threading.Event()

    def batches():
        yield 0
        may_go_on.wait(60)
        yield 1

    begun = ahead(batches())
    assert next(begun) == 0
    closing = threading.Thread(target=begun.close)
    closing.start()
    closing.join(10)
    has_ended = not closing.is_alive()
    may_go_on.set()
    assert has_ended
