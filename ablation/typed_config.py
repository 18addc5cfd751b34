"""A configuration of nested dicts, as Hydra and an order have it, made a typed one."""

from collections.abc import Mapping
from typing import Any

from ablation.config import Config, DesignConfig, RecipeConfig, ReportConfig, TuneConfig
from ablation.data import sources


def typed_config(nested: Mapping[str, Any]) -> Config:
    """Returns the configuration with the options that its source of data reads.

    Raises:
        UserError: there is no such source of data, or an option that it does not read.
    """
    groups = {
        "design": DesignConfig(**nested["design"]),
        "tune": TuneConfig(**nested.get("tune", {})),
        "dataset": sources.typed(nested["dataset"]),
        "recipe": RecipeConfig(**nested["recipe"]),
        "report": ReportConfig(**nested["report"]),
    }
    return Config(**{**nested, **groups})
