"""Network interfaces: the groups they carry, and what an instance shows of them."""

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from moto.core.responses import EmptyResult
from moto.core.utils import utcnow
from moto.ec2.exceptions import InvalidNetworkInterfaceIdError
from moto.ec2.models.elastic_network_interfaces import NetworkInterface, NetworkInterfaceBackend
from moto.ec2.models.instances import Instance, InstanceBackend
from moto.ec2.responses.elastic_network_interfaces import ElasticNetworkInterfaces
from moto.ec2.utils import filter_dict_attribute_mapping

from .errors import AwsError, invalid_parameter, missing_parameter
from .patching import patch
from .paging import ec2_page
from .security_groups import resolve
from .stores import Wearer, wearers

# The interfaces of data stores, by backend and by what has them.
_store_interfaces: WeakKeyDictionary[Any, dict[str, NetworkInterface]] = WeakKeyDictionary()


class ManagedInterface(NetworkInterface):
    """An interface that another service of AWS has put into the customer's VPC."""

    def __init__(
        self, backend: Any, subnet_id: str, group_ids: list[str], requester: str, description: str, kind: str
    ):
        super().__init__(backend, subnet_id, [], group_ids=group_ids, description=description)
        self.interface_type = kind
        self.requester_managed = True
        self.requester_id = requester
        self.status = "in-use"
        self.attachment_id = f"ela-attach-{self.id.removeprefix('eni-')}"
        self.attach_time = utcnow()
        self.device_index = 1

    @property
    def attachment(self) -> Any:
        """What it hangs on, which is no instance of the customer's."""
        return {
            "AttachmentId": self.attachment_id,
            "AttachTime": self.attach_time,
            "DeleteOnTermination": False,
            "DeviceIndex": self.device_index,
            "InstanceOwnerId": self.requester_id,
            "Status": "attached",
        }


def install() -> None:
    """Mends the groups of interfaces, and lists those that other services manage."""
    _install_groups()
    _install_describe()
    _install_managed()


def _install_groups() -> None:
    # moto adds the groups an instance was launched with to those of each interface, so that one of
    # them could never be detached, and an attached one never showed on the instance.
    NetworkInterface.group_set = property(lambda interface: list(interface._group_set))  # type: ignore[assignment]
    Instance.security_groups = property(_groups_of_instance, _set_launch_groups)  # type: ignore[attr-defined]
    Instance.interface_group_ids = property(  # type: ignore[attr-defined]
        lambda instance: [group.id for group in instance.security_groups]
    )
    filter_dict_attribute_mapping["network-interface.group-id"] = "interface_group_ids"

    @patch(NetworkInterfaceBackend)
    def get_network_interface(original: Callable[..., Any], self: Any, eni_id: str) -> NetworkInterface:
        if eni_id not in self.enis:
            raise InvalidNetworkInterfaceIdError(eni_id)
        return self.enis[eni_id]

    @patch(NetworkInterfaceBackend)
    def create_network_interface(
        original: Callable[..., Any],
        self: Any,
        subnet: Any,
        private_ip_address: Any,
        private_ip_addresses: Any = None,
        group_ids: list[str] | None = None,
        *arguments: Any,
        **named: Any,
    ) -> NetworkInterface:
        if group_ids:
            vpc_id = (self.get_subnet(subnet) if isinstance(subnet, str) else subnet).vpc_id
            group_ids = [group.id for group in resolve(self, group_ids, vpc_id)]
        return original(self, subnet, private_ip_address, private_ip_addresses, group_ids, *arguments, **named)

    @patch(NetworkInterfaceBackend)
    def modify_network_interface_attribute(
        original: Callable[..., Any],
        self: Any,
        eni_id: str,
        group_ids: list[str],
        source_dest_check: bool | None = None,
        description: str | None = None,
    ) -> None:
        interface = self.get_network_interface(eni_id)
        _refuse_managed(interface)
        if group_ids:
            interface._group_set = resolve(self, group_ids, interface.subnet.vpc_id)
        original(self, eni_id, [], source_dest_check, description)

    @patch(ElasticNetworkInterfaces)
    def modify_network_interface_attribute(original: Callable[..., Any], self: Any) -> Any:  # noqa: F811
        named = ("Groups", "SourceDestCheck.Value", "Description.Value", "Attachment.AttachmentId")
        # An empty list does not reach the wire, so it is seen here as no attribute at all.
        if all(self._get_param(name) in (None, []) for name in named):
            raise missing_parameter("groupSet")
        original(self)
        return EmptyResult()

    @patch(InstanceBackend)
    def modify_instance_security_groups(
        original: Callable[..., Any], self: Any, instance_id: str, new_group_id_list: list[str]
    ) -> Instance:
        instance = self.get_instance(instance_id)
        if instance.state in ("terminated", "shutting-down"):
            raise AwsError(
                "IncorrectInstanceState", f"The instance '{instance_id}' is not in a valid state for this operation."
            )
        if len(instance.nics) > 1:
            raise AwsError(
                "InvalidInstanceID",
                f"There are multiple interfaces attached to instance '{instance_id}'. "
                "Please specify an interface ID for the operation instead.",
            )
        for interface in instance.nics.values():
            interface._group_set = resolve(self, new_group_id_list, interface.subnet.vpc_id)
        return instance


def _install_describe() -> None:
    @patch(NetworkInterface)
    def get_filter_value(
        original: Callable[..., Any], self: Any, filter_name: str, method_name: str | None = None
    ) -> Any:
        shown = {
            "attachment.device-index": self.device_index,
            "attachment.status": "attached" if self.attachment_id else "detached",
            "interface-type": self.interface_type,
            "requester-id": self.requester_id,
            "requester-managed": str(self.requester_managed).lower(),
            "status": self.status,
        }
        return shown[filter_name] if filter_name in shown else original(self, filter_name, method_name)

    @patch(ElasticNetworkInterfaces)
    def describe_network_interfaces(original: Callable[..., Any], self: Any) -> Any:
        if self._get_param("NetworkInterfaceIds") and self._get_param("MaxResults"):
            raise AwsError(
                "InvalidParameterCombination",
                "The parameter networkInterfaceIds cannot be used with the parameter maxResults",
            )
        answer = original(self)
        found, token = ec2_page(self, answer.result["NetworkInterfaces"])
        answer.result.update(NetworkInterfaces=found, NextToken=token)
        return answer


def _install_managed() -> None:
    @patch(NetworkInterfaceBackend)
    def get_all_network_interfaces(
        original: Callable[..., Any], self: Any, eni_ids: list[str] | None = None, filters: Any = None
    ) -> list[NetworkInterface]:
        _follow_stores(self)
        # moto wants all of the groups that a filter names, where AWS wants any of them.
        others = {name: values for name, values in (filters or {}).items() if name != "group-id"}
        found = original(self, eni_ids, others)
        if "group-id" not in (filters or {}):
            return found
        wanted = set(filters["group-id"])
        return [interface for interface in found if wanted & {group.id for group in interface.group_set}]

    @patch(ElasticNetworkInterfaces)
    def delete_network_interface(original: Callable[..., Any], self: Any) -> Any:
        interface = self.ec2_backend.get_network_interface(self._get_param("NetworkInterfaceId"))
        _refuse_managed(interface)
        if interface.attachment_id:
            raise invalid_parameter(f"Network interface '{interface.id}' is currently in use.")
        return original(self)


def _refuse_managed(interface: NetworkInterface) -> None:
    if interface.requester_managed:
        raise AwsError("AuthFailure", "You do not have permission to access the specified resource.")


def _follow_stores(backend: Any) -> None:
    """Makes the interfaces of data stores what the stores are now."""
    wanted: dict[str, Wearer] = {
        wearer.identity: wearer for wearer in wearers(backend.account_id, backend.region_name)
    }
    known = _store_interfaces.setdefault(backend, {})
    for identity in known.keys() - wanted.keys():
        backend.enis.pop(known.pop(identity).id, None)
    for identity, wearer in wanted.items():
        interface = known.get(identity)
        if interface is None or interface.id not in backend.enis:
            interface = known[identity] = ManagedInterface(
                backend, wearer.subnet_id, wearer.group_ids, wearer.requester, wearer.description, "interface"
            )
            backend.enis[interface.id] = interface
        elif [group.id for group in interface.group_set] != wearer.group_ids:
            interface._group_set = [backend.get_security_group_from_id(group_id) for group_id in wearer.group_ids]


def _groups_of_instance(instance: Any) -> list[Any]:
    interfaces = instance.__dict__.get("nics")
    if interfaces is None:
        return instance._launch_groups
    return list({group.id: group for interface in interfaces.values() for group in interface.group_set}.values())


def _set_launch_groups(instance: Any, groups: list[Any]) -> None:
    # moto hands these to the interfaces that it makes while the instance is being made; from then
    # on the interfaces have them.
    instance._launch_groups = groups
