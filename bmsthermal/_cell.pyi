from typing import Any

CLASSES: tuple[tuple[int, int, int, int], ...]
POINTS: tuple[tuple[int, int], ...]

class Kernel:
    state_size: int
    input_size: int
    out_size: int
    single: bool
    state: bytes
    def __init__(self, model: Any, use: Any, negative: int, positive: int, modes: int) -> None: ...
    def rest(self, filling: float, temperature_K: float) -> None: ...
    def run(self, u: Any, out: Any, past: Any = None) -> bool: ...
    def slopes(self, u: Any, places: Any, rows: Any) -> None: ...
