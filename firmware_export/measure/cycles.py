"""Estimated cycles of instructions on a Cortex-M4, from the tables of its Technical Reference Manual.

Source: Arm DDI 0439, tables 3-1 (processor) and 7-1 (floating-point unit). The estimate is for comparing one text
with another and for planning a budget. It is no measurement: flash with wait states makes it longer, loads that
follow each other and the divider working beside integer code make it shorter.
"""

from __future__ import annotations

import re

from firmware_export.measure.listing import Instruction

#: Cores whose cycles are estimated. Others fetch ahead, issue in pairs or have caches: no sum of a table says theirs.
CORES = ("cortex-m4f", "cortex-m33")
#: Cycles to fill the pipeline again after a jump; the manual says 1 to 3.
REFILL = 2
#: What the estimate takes for granted.
ASSUMPTIONS = (
    "cycles of each instruction as in tables 3-1 and 7-1 of the Cortex-M4 Technical Reference Manual (Arm DDI 0439)",
    f"{REFILL} cycles to refill the pipeline after a jump taken (the manual: 1 to 3)",
    "zero wait states: code and constants come as fast as the core asks",
    "no interrupts, and no lazy saving of floating-point registers",
    "nothing overlaps: every load takes 2 cycles, a division 14, an integer division 12",
    "nothing waits: a floating-point result that the next instruction uses is not counted as a cycle more",
    "a Cortex-M33 is counted with the same table, since none is published for it",
)

_ONE_MORE_THAN_WORDS = re.compile(r"v?(ldm|stm|push|pop)(ia|db|ea|fd)?")
_TWO = re.compile(r"(ldr|str)(s?[bh]|ex[bh]?|t)?")
_FUSED = re.compile(r"vn?(mla|mls)|vfn?m[as]")
_ONE_FLOAT = re.compile(r"v(abs|add|cmpe?|cvt\w?|mov|mrs|msr|mul|neg|nmul|sub|sel\w\w|maxnm|minnm|rint\w|ins|movx)")
_ONE = re.compile(
    r"it|nop|b|bx|blx?|cbn?z|(add|adc|sub|sbc|rsb|and|orr|orn|eor|bic|mov|mvn|lsl|lsr|asr|ror|rrx|neg|mul)s?w?"
    r"|cmp|cmn|tst|teq|mla|mls|[us]mul[lbt]\w?|[us]mlal|smla\w+|[us]xta?[bh]|[us]bfx|bfi|bfc|clz|rbit|rev(16|sh)?"
    r"|movt|movw|adr|[us]sat|sel|mrs|msr"
)


def cost(instruction: Instruction, taken: bool = True) -> int | None:
    """Cycles of an instruction.

    Parameters
    ----------
    instruction
        The instruction.
    taken
        Whether it is done: a conditional one that is passed over takes 1 cycle.

    Returns
    -------
    int or None
        None for an instruction that the table does not hold.
    """
    if not taken:
        return 1
    name, _, kind = instruction.name.partition(".")
    refill = 0 if instruction.way == "on" else REFILL
    words = 2 if kind == "f64" or instruction.operands.startswith("d") else 1
    if _ONE_MORE_THAN_WORDS.fullmatch(name):
        listed = instruction.registers
        return 1 + len(listed) * (2 if listed[0].startswith("d") else 1) + refill
    if name in ("vldr", "vstr"):
        return 1 + words
    if name in ("ldrd", "strd"):
        return 3
    if _TWO.fullmatch(name):
        return 2 + refill
    if words == 2 and name != "vmov":
        return None  # the M4 computes in single precision
    if _FUSED.fullmatch(name):
        return 3
    if name in ("vdiv", "vsqrt"):
        return 14
    if name in ("sdiv", "udiv"):
        return 12
    if name == "vmov" and instruction.operands.count(",") > 1:
        return 2  # two registers at once
    if _ONE.fullmatch(name) or _ONE_FLOAT.fullmatch(name):
        return 1 + refill
    return None
