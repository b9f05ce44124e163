from typing import Any

from numpy.typing import NDArray

MAX_SENSORS: int

class Kernel:
    states: int
    state_size: int
    input_size: int
    output_size: int
    sensors: int
    single: bool
    def __init__(self, model: NDArray[Any], negative: int, positive: int, modes: int) -> None: ...
    def write(self, row: NDArray[Any]) -> None: ...
    def read(self, row: NDArray[Any]) -> None: ...
    def run(self, u: NDArray[Any], z: NDArray[Any], out: NDArray[Any], past: NDArray[Any] | None = None) -> None: ...
    def slopes(self, row: NDArray[Any], current_A: float, coolant: NDArray[Any], rows: NDArray[Any]) -> None: ...
