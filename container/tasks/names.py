"""The names of the tasks, and of the units that the offsets of highlights count."""

from typing import Literal

Task = Literal["question-answering", "highlight"]
OffsetUnit = Literal["code_points", "utf16", "bytes"]  # the bytes are those of UTF-8
