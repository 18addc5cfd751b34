"""The figures of a page: drawn for whoever has no scripts, and pictures of pixels for all."""

import base64
import io
import re
from dataclasses import dataclass

from markupsafe import Markup
from PIL import Image

from ablation.report import judged
from ablation.targets import TARGETS

CURVES = ("loss", *(target.tracked for target in TARGETS.values()))
"""Kinds of figures that show a score against the epoch, whatever the labels say."""

WITHOUT_SCRIPTS = ("final", *CURVES, "responses", "gradients", "confusion")
"""Kinds of figures that scripts draw, so that they stand there only where none runs."""

_TITLES = {
    "final": "Scores after the final epoch",
    "loss": "Loss curves",
    **{
        target.tracked: f"{judged.name(target().of_epochs).capitalize()} curves"
        for target in TARGETS.values()
    },
    "responses": "Responses of the layers",
    "gradients": "Gradients of the layers",
    "confusion": "Confusion matrices",
    "against_true": "Predicted against true values",
    "by_label": "Scores by label",
    "predictions": "Predictions",
    "changed": "What a change fixes and breaks",
    "examples": "Training examples",
    "tuning": "Scores of the tuning runs",
}
_WIDTH = 1600
_QUALITY = 82
_SHOWN = 96 / 150
"""Of a picture's pixels those that a page gives it: figures have 150 dots an inch."""
_DIGITS = re.compile(r"scale\([^)]*\)|(?<![\w#.])-?\d+\.\d{2,}")
_HEAD = re.compile(r"^.*?(?=<svg)", re.DOTALL)
_METADATA = re.compile(r"<metadata>.*?</metadata>\s*", re.DOTALL)
_IDS = re.compile(r'(id="|url\(#|href="#)')


@dataclass(frozen=True)
class Picture:
    """One figure of a page.

    Attributes:
        kind: see `sections.Drawing`.
        title: what it shows, for whoever does not see it.
        caption: what is said below it.
        drawn: the figure as markup.
    """

    kind: str
    title: str
    caption: str
    drawn: Markup


def vector(kind: str, caption: str, svg: bytes, unique: str) -> Picture:
    """Returns an SVG, made small, as a picture.

    Args:
        kind: of the figure.
        caption: below it.
        svg: as matplotlib writes it.
        unique: what its ids begin with, since a page may hold several.
    """
    text = _METADATA.sub("", _HEAD.sub("", svg.decode()))
    text = _DIGITS.sub(_shortened, text)
    text = _IDS.sub(rf"\g<1>{unique}", text)
    title = _TITLES.get(kind, kind)
    label = Markup(' role="img" aria-label="{}"').format(title)
    return Picture(kind, title, caption, Markup(text.replace("<svg", f"<svg{label}", 1)))


def _shortened(found: re.Match[str]) -> str:
    """Returns a coordinate to less than a pixel, with one digit; a scale, as of fonts, as it is."""
    return found[0] if found[0].startswith("scale") else f"{float(found[0]):.1f}"


def pixels(kind: str, caption: str, png: bytes) -> Picture:
    """Returns a PNG, made small, as a picture."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    if image.width > _WIDTH:
        image = image.resize((_WIDTH, round(image.height * _WIDTH / image.width)))
    content = io.BytesIO()
    image.save(content, "WEBP", quality=_QUALITY, method=4)
    encoded = base64.b64encode(content.getvalue()).decode()
    title = _TITLES.get(kind, kind)
    drawn = Markup('<img src="data:image/webp;base64,{}" alt="{}" width="{}" height="{}">')
    shown = [round(side * _SHOWN) for side in image.size]
    return Picture(kind, title, caption, drawn.format(encoded, title, *shown))
