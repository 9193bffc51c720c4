"""moto's server, patched where it differs from AWS in ways that tagwire depends on.

Each module patches one area and has an ``install`` function; none of moto's files is edited. What is
replaced is checked when the server starts (see `patching.patch`), so a moto release that moves
something fails at once instead of quietly going back to the wrong behaviour.

moto's own IAM is left off: `access` has the functions' calls judged, if that is asked for. The module of
a service whose stores hold security groups adds itself to `stores.services`.
"""

from . import (
    account,
    cloud_trail,
    elasticache,
    faults,
    instances,
    interfaces,
    launch_templates,
    prefix_lists,
    rds,
    redshift,
    security_groups,
    tag_events,
    tagging,
)

AREAS = (
    faults,
    account,
    cloud_trail,
    tagging,
    tag_events,
    security_groups,
    interfaces,
    instances,
    launch_templates,
    prefix_lists,
    rds,
    elasticache,
    redshift,
)


def install() -> None:
    """Mends every area; to be called once, before the server takes requests."""
    for area in AREAS:
        area.install()
