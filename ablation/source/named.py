"""The functions of the user's own that a configuration names."""

import os
from collections.abc import Mapping
from typing import Any

from ablation.config import CODE_KEY, OWN_KEYS, RECORD_KEY, Config, UserError, flatten
from ablation.source.digests import digests
from ablation.source.imports import parsed_modules
from ablation.source.located import Located, is_own, locate
from ablation.text import readable


def own_functions(config: Config) -> dict[str, Located]:
    """Returns the functions of the user's own that a configuration names beside its network.

    Returns:
        Each by the key that names it; see `OWN_KEYS`.

    Raises:
        UserError: there is no such function.
    """
    keys = flatten({"dataset": vars(config.dataset), "recipe": vars(config.recipe)})
    return {key: locate(keys[key], key) for key in OWN_KEYS if is_own(keys[key])}


def own_code(config: Config) -> dict[str, Located]:
    """Returns all functions of the user's own of a configuration, its network's by "arch"."""
    network = {"arch": locate(config.arch)} if is_own(config.arch) else {}
    return network | own_functions(config)


def codes(config: Config) -> dict[str, dict[str, str]]:
    """Returns `digests` of each of `own_functions`."""
    return {key: digests(located) for key, located in own_functions(config).items()}


def code_by_name(config: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Returns the code that a run's config.yaml has on record, by the name of each function.

    Args:
        config: its content.
    """
    keys, code = flatten(dict(config)), config.get(CODE_KEY) or {}
    found = {keys[key]: dict(source) for key, source in code.items()}
    network = config[RECORD_KEY]["source"]
    return found | ({config["arch"]: network} if network else {})


def check_together(config: Config) -> None:
    """Raises UserError if functions of a configuration import different files by one name."""
    located = list(own_code(config).values())
    known: dict[str, str] = {}
    for one in located if len(located) > 1 else ():
        for name, (path, _) in parsed_modules(one).items():
            real = os.path.realpath(path)
            other = known.setdefault(name, real)
            if other != real:
                raise UserError(
                    f"'{name}' is {readable(other)} to one of {', '.join(map(_named, located))} "
                    f"and {readable(real)} to another, and a process has one module of that name; "
                    "give one of the files another name."
                )


def _named(located: Located) -> str:
    return f"{located.path.name}:{located.function}"
