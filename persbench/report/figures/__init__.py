"""Figures: what the records show, drawn in one style. Only in this room is matplotlib touched."""

from persbench.report.figures.drawing import FIGURES, draw_all, draw_system
from persbench.report.figures.losses import plot_losses
from persbench.report.figures.save import Drawn

__all__ = ["FIGURES", "Drawn", "draw_all", "draw_system", "plot_losses"]
