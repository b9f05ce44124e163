"""What all tables of scenarios and campaigns have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, Strict

#: Unknown keys, NaN and infinities are refused, nothing changes once it is read, and a field's text describes it.
CONFIG = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)
#: A number, and no text or yes and no that could be read as one.
Number = Annotated[float, Strict()]
Positive = Annotated[float, Strict(), Field(gt=0)]
Share = Annotated[float, Strict(), Field(ge=0, le=1)]
