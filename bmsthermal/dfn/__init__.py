"""The full electrochemical model: five fields from the particle to the electrode, coupled to heat and stress."""
