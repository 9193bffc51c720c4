"""Errors with AWS's codes and, where they are known, AWS's words."""

from moto.core.exceptions import ServiceException


class AwsError(ServiceException):
    """An error answer with a code of our choosing; HTTP 400 unless the service's model says otherwise."""

    def __init__(self, code: str, message: str):
        super().__init__(code, message)


def invalid_parameter(message: str) -> AwsError:
    """A value that the service does not take."""
    return AwsError("InvalidParameterValue", message)


def missing_parameter(name: str) -> AwsError:
    """A parameter that the request must have."""
    return AwsError("MissingParameter", f"The request must contain the parameter {name}")


def group_not_found(group_id: str) -> AwsError:
    """A security group that is not there, in EC2's words."""
    return AwsError("InvalidGroup.NotFound", f"The security group '{group_id}' does not exist")
