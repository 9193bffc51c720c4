"""moto's server, mended where it differs from AWS in ways that tagwire depends on.

Each module mends one area and has an ``install`` function; none of moto's files is edited. What is
replaced is checked when the server starts (see `mending.mend`), so a moto release that moves
something fails at once instead of quietly going back to the wrong behaviour.

Caches, warehouses and IAM conditions are still moto's own. Their places are modules
``elasticache``, ``redshift`` and ``access`` beside these, and a line each in `AREAS`; a store kind
that holds security groups also belongs into `stores.groups_in_use`.
"""

from . import faults, instances, interfaces, rds, security_groups, tagging

AREAS = (faults, tagging, security_groups, interfaces, instances, rds)


def install() -> None:
    """Mends every area; to be called once, before the server takes requests."""
    for area in AREAS:
        area.install()
