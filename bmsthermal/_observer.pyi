from typing import Any

MAX_STATES: int
MAX_WALLS: int
MAX_SENSORS: int

def lanes(kind: str) -> int: ...

class Kernel:
    states: int
    walls: int
    sensors: int
    cells: int
    lanes: int
    state_size: int
    input_size: int
    output_size: int
    single: bool
    def __init__(
        self,
        model: Any,
        states: int,
        walls: int,
        sensors: int,
        cells: int = 1,
        joint: bool = False,
        gains: str = "own",
    ) -> None: ...
    def step(self, u: tuple[float, ...], z: tuple[float, ...]) -> None: ...
    def run(self, u: Any, z: Any, out: Any = None, past: Any = None) -> None: ...
    def read(self, rows: Any) -> None: ...
    def write(self, rows: Any) -> None: ...
