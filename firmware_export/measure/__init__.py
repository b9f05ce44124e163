"""What a bundle costs on a core: the longest way, cycles, stack and bytes, from the linked image, and how it scales."""

from firmware_export.measure.measurement import COLUMNS, Measurement, measure

__all__ = ["COLUMNS", "Measurement", "measure"]
