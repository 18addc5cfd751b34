"""From a command to its trained runs: sweep, plan, child processes, progress."""
