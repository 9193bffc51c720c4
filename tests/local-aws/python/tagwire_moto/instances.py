"""Instances: launch, the end of one, paging, and the events that EC2 sends of its own accord."""

import copy
from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import InvalidInstanceIdError
from moto.ec2.models.instances import Instance, InstanceBackend
from moto.ec2.responses.instances import InstanceResponse

from . import native_events
from .errors import AwsError
from .patching import patch
from .paging import ec2_page
from .security_groups import resolve


def install() -> None:
    """Mends launch, state changes and description of instances."""
    _install_launch()
    _install_states()
    _install_terminated()
    _install_describe()


def _install_launch() -> None:
    @patch(InstanceBackend)
    def run_instances(original: Callable[..., Any], self: Any, *arguments: Any, **named: Any) -> Any:
        specified = named.get("nics") or []
        subnet_id = named.get("subnet_id") or next((nic["SubnetId"] for nic in specified if "SubnetId" in nic), None)
        vpc_id = self.get_subnet(subnet_id).vpc_id if subnet_id else self.default_vpc.id
        for group_ids in [named.get("security_group_ids") or [], *(nic.get("Groups") or [] for nic in specified)]:
            resolve(self, [group_id for group_id in group_ids if isinstance(group_id, str)], vpc_id)

        earlier = set(self.enis)
        reservation = original(self, *arguments, **named)

        kept = {int(nic.get("DeviceIndex", 0)) for nic in specified if nic.get("DeleteOnTermination") is False}
        for instance in reservation.instances:
            for index, interface in instance.nics.items():
                # An interface that came with the launch goes with the instance, unless told otherwise.
                if interface.id not in earlier and index not in kept:
                    interface.delete_on_termination = True
        native_events.instances_changed(self, reservation.instances, ("pending", "running"))
        return reservation


def _install_states() -> None:
    def change(passing: str, final: str) -> Callable[..., Any]:
        def changed(original: Callable[..., Any], self: Any, instance_ids: list[str]) -> Any:
            before = {instance.id: instance.state for instance in self.get_multi_instances_by_id(instance_ids)}
            answer = original(self, instance_ids)
            moved = [
                instance
                for instance in self.get_multi_instances_by_id(instance_ids)
                if instance.state != before[instance.id]
            ]
            native_events.instances_changed(self, moved, (passing, final))
            return answer

        return changed

    for name, passing, final in (
        ("start_instances", "pending", "running"),
        ("stop_instances", "stopping", "stopped"),
        ("terminate_instances", "shutting-down", "terminated"),
    ):
        replacement = change(passing, final)
        replacement.__name__ = name
        patch(InstanceBackend)(replacement)


def _install_terminated() -> None:
    @patch(Instance)
    def terminate(original: Callable[..., Any], self: Any) -> Any:
        interfaces = list(self.nics.values())
        previous_state = original(self)
        for interface in interfaces:
            if interface.id in self.ec2_backend.enis:
                self.detach_eni(interface)
        self.nics.clear()
        # AWS shows neither VPC nor subnet of a terminated instance.
        self._subnet_id = None
        return previous_state

    def of_primary_interface(attribute: str) -> property:
        return property(lambda instance: getattr(instance.nics[0], attribute) if 0 in instance.nics else None)

    Instance.private_ip = of_primary_interface("private_ip_address")  # type: ignore[assignment, method-assign]
    Instance.private_ip_address = of_primary_interface("private_ip_address")  # type: ignore[assignment, method-assign]
    Instance.public_ip = of_primary_interface("public_ip")  # type: ignore[assignment, method-assign]
    Instance.public_ip_address = of_primary_interface("public_ip")  # type: ignore[assignment, method-assign]

    private_dns_name = Instance.private_dns_name.fget  # type: ignore[attr-defined]
    Instance.private_dns_name = property(  # type: ignore[assignment, method-assign]
        lambda instance: private_dns_name(instance) if instance.private_ip else ""
    )


def _install_describe() -> None:
    # moto's pages are of reservations, a hundred when nothing is said; AWS's are of instances.
    @patch(InstanceResponse)
    def describe_instances(original: Callable[..., Any], self: Any) -> ActionResult:
        self.error_on_dryrun()
        instance_ids = self._get_param("InstanceIds", [])
        filters = self._filters_from_querystring()
        if instance_ids and self._get_param("MaxResults"):
            raise AwsError(
                "InvalidParameterCombination",
                "The parameter instancesSet cannot be used with the parameter maxResults",
            )
        if instance_ids:
            known = {
                instance.id
                for reservation in self.ec2_backend.reservations.values()
                for instance in reservation.instances
            }
            unknown = [instance_id for instance_id in instance_ids if instance_id not in known]
            if unknown:
                raise InvalidInstanceIdError(unknown)
            wanted = set(instance_ids)
            reservations = self.ec2_backend.get_reservations_by_instance_ids(list(wanted), filters=filters)
        else:
            reservations = self.ec2_backend.describe_instances(filters=filters)

        pairs = [(reservation, instance) for reservation in reservations for instance in reservation.instances]
        found, token = ec2_page(self, pairs, default_size=1000)
        shown: dict[str, Any] = {}
        for reservation, instance in found:
            if reservation.id not in shown:
                shown[reservation.id] = copy.copy(reservation)
                shown[reservation.id].instances = []
            shown[reservation.id].instances.append(instance)
        return ActionResult({"Reservations": list(shown.values()), "NextToken": token})
