"""EventBridge's matching of an event against a rule's pattern, for the operators that template.yaml uses.

An operator that is not written here is an error, never a quiet mismatch: a test that an event is ignored would
otherwise pass because the pattern was not understood.
"""


class UnknownOperator(Exception):
    pass


def matches(pattern, event):
    """Every field of the pattern has to be in the event and to hold for it; other fields of the event do not count."""
    for field, wanted in pattern.items():
        if field.startswith("$"):
            raise UnknownOperator(field)
        if isinstance(wanted, dict):
            if not _matches_any(wanted, event.get(field)):
                return False
        elif isinstance(wanted, list):
            if field not in event:
                if not any(alternative == {"exists": False} for alternative in wanted):
                    return False
                continue
            # An array in the event matches when any of its elements does.
            values = event[field] if isinstance(event[field], list) else [event[field]]
            if not any(_holds(alternative, value) for alternative in wanted for value in values):
                return False
        else:
            raise UnknownOperator(f"{field}: {wanted!r} is neither a list of alternatives nor a nested pattern")
    return True


def _matches_any(pattern, value):
    """A list of objects matches when any of them does; what is not there has none of the fields, as has a text."""
    objects = value if isinstance(value, list) else [value]
    return any(matches(pattern, item if isinstance(item, dict) else {}) for item in objects)


def _holds(alternative, value):
    if isinstance(alternative, dict):
        [(operator, operand)] = alternative.items()
        if operator == "prefix":
            return isinstance(value, str) and value.startswith(operand)
        if operator == "anything-but":
            return value not in operand
        if operator == "exists":
            return operand is True
        raise UnknownOperator(alternative)
    return type(alternative) is type(value) and alternative == value
