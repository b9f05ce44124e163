"""The bench: a plant, its sensors, a device under test, and the verdict."""
