"""Code of the user's own, such as a network: its file and the local modules that it imports.

Nothing but `load` runs any of it, and nothing here loads Keras.
"""

from ablation.source.digests import digest, digests
from ablation.source.errors import RAISED, is_raised_in, user_error
from ablation.source.imports import files_by_name, libraries, local_modules
from ablation.source.loading import load, seen_imports
from ablation.source.located import Located, is_own, locate
from ablation.source.named import check_together, code_by_name, codes, own_code, own_functions
from ablation.source.syntax import bound, parsed

__all__ = [
    "RAISED",
    "Located",
    "bound",
    "check_together",
    "code_by_name",
    "codes",
    "digest",
    "digests",
    "files_by_name",
    "is_own",
    "is_raised_in",
    "libraries",
    "load",
    "local_modules",
    "locate",
    "own_code",
    "own_functions",
    "parsed",
    "seen_imports",
    "user_error",
]
