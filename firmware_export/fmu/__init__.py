"""An exported observer as an FMU for co-simulation, FMI 2.0 or 3.0: the bundle's own C behind FMI's functions.

The walk: `numbers` says which variables there are, `description` writes modelDescription.xml,
`archive` puts sources, binary and description into one file of fixed bytes.
"""

from firmware_export.fmu.archive import add_fmus, check_version, export_fmu, said

__all__ = ["add_fmus", "check_version", "export_fmu", "said"]
