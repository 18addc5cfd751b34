"""Signals: numbers along time, in one or several channels, standardised channel by channel."""

from typing import Any

import numpy as np

from ablation.config import UserError
from ablation.data.kinds.common import Meta, Noun, Numbers, Picture, check_numbers, shape_of

_LONG = 2048
"""Steps of time from which on a signal is shown as a spectrogram."""

_WINDOW, _DECIBELS = 256, 60.0
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
_SCALE = 1.5


class Signals(Numbers):
    """See `Kind`."""

    name = "signals"
    noun = Noun("signal", "signals")

    def fits(self, array: np.ndarray) -> bool:
        """Three axes, of floats that are no pixels: some are below 0 or above 255."""
        if array.ndim != 3 or array.dtype.kind != "f" or not array.size:
            return False
        return bool(array.min() < 0 or array.max() > 255)

    def read(self, name: str, array: np.ndarray, where: str) -> np.ndarray:
        """Returns (signals, time, channels)."""
        if array.ndim == 2:
            array = array[..., np.newaxis]
        if array.ndim != 3 or 0 in array.shape[1:]:
            raise UserError(
                f"{where}: {name} must be signals x time, or with channels behind; it is "
                f"{shape_of(array)}."
            )
        check_numbers(name, array, where, self.noun)
        return array

    def picture(self, meta: Meta) -> Picture:
        """Returns a line for each of the first channels, or of long signals a spectrogram."""
        length, channels = meta["shape"]
        if length >= _LONG:
            remark = "Long signals are shown as spectrograms: time to the right, frequency up"
            remark += ", decibels of the first channel." if channels > 1 else ", in decibels."
            return Picture(_spectrogram, _SCALE, remark)
        shown = min(channels, len(_COLOURS))
        remark = f"Signals have {channels} channels; pictures show the first {shown}."
        return Picture(_lines, _SCALE, remark if shown < channels else "")


def _lines(axes: Any, signal: np.ndarray, left: float, top: float, size: float) -> None:
    """Draws the channels of one signal over each other, from its least to its greatest number."""
    shown = signal[:, : len(_COLOURS)]
    least, greatest = shown.min(), shown.max()
    across = left + size * np.linspace(0, 1, len(shown))
    height = (shown - least) / (greatest - least) if greatest > least else np.full_like(shown, 0.5)
    for channel, colour in zip(height.T, _COLOURS, strict=False):
        axes.plot(across, top + size * (0.95 - 0.9 * channel), color=colour, linewidth=0.6)


def _spectrogram(axes: Any, signal: np.ndarray, left: float, top: float, size: float) -> None:
    """Draws the power of the first channel over time and frequency."""
    from scipy.signal import spectrogram  # It takes half a second.

    _, _, power = spectrogram(signal[:, 0], nperseg=_WINDOW, noverlap=_WINDOW // 2)
    decibels = 10 * np.log10(np.maximum(power, np.finfo(float).tiny))
    axes.imshow(
        decibels,
        cmap="viridis",
        vmin=decibels.max() - _DECIBELS,
        vmax=decibels.max(),
        extent=(left, left + size, top + size, top),
        origin="lower",
        aspect="auto",
    )


KIND = Signals()
