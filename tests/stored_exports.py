"""What the tests of exports share: stored studies to export, and how they change."""

import csv
import random

from ablation.records import durable, store


def history(directory):
    """The rows of a run's history.csv, read by hand."""
    with (directory / "history.csv").open(newline="") as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def write_history(directory, rows):
    lines = [",".join(str(row[column]) for column in store.HISTORY_COLUMNS) for row in rows]
    text = "\n".join([",".join(store.HISTORY_COLUMNS), *lines]) + "\n"
    durable.write_text(directory / "history.csv", text)


def rows(epochs, seed=0):
    """Numbers with as many digits as a float has."""
    draw = random.Random(seed)
    columns = store.HISTORY_COLUMNS[1:]
    return [{"epoch": e} | {one: draw.random() for one in columns} for e in range(1, epochs + 1)]


def run_in(folder, state):
    """The directory of the first run in some state."""
    found = (one for one in store.run_directories(folder) if store.read_status(one).state == state)
    return next(found)


def finish(directory):
    """Lets the interrupted run of a study come to its end."""
    complete = run_in(directory.parent, store.COMPLETE)
    write_history(directory, history(directory) + rows(5, seed=9)[3:])
    store.write_status(directory, store.Status().begun().ended(store.COMPLETE))
    result = durable.read_json(complete / "result.json")
    durable.write_json(directory / "result.json", result | {"val_accuracy": 0.875})


def passing(runs):
    """What shows how far an export is, without showing it."""
    return runs
