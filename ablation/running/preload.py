"""What the server of `ablation.running.children` loads, once for all runs that are forked from it.

Nothing here may begin to compute: threads do not outlast a fork.
"""

import contextlib
import gc
import os

# What libraries print while they are loaded belongs to no run, and not on the user's terminal.
_nowhere = os.open(os.devnull, os.O_WRONLY)
for _stream in (1, 2):
    os.dup2(_nowhere, _stream)
os.close(_nowhere)

# A library that cannot be loaded is the matter of the run, which says so in its log.
with contextlib.suppress(Exception):
    from ablation.data import cache  # noqa: F401
    from ablation.networks import own  # noqa: F401
    from ablation.records import provenance  # noqa: F401
    from ablation.training import train  # noqa: F401

# What is loaded stays: a child that looked through it for garbage would take a third of a second,
# and a copy of each page that it shares with the server.
gc.collect()
gc.freeze()
