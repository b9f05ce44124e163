"""A board on a serial line: the protocol as a table, its C, and a board that is a program on this machine."""
