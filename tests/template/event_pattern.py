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
            if not isinstance(event.get(field), dict) or not matches(wanted, event[field]):
                return False
        elif isinstance(wanted, list):
            if field not in event:
                return False
            # An array in the event matches when any of its elements does.
            values = event[field] if isinstance(event[field], list) else [event[field]]
            if not any(_holds(alternative, value) for alternative in wanted for value in values):
                return False
        else:
            raise UnknownOperator(f"{field}: {wanted!r} is neither a list of alternatives nor a nested pattern")
    return True


def _holds(alternative, value):
    if isinstance(alternative, dict):
        if set(alternative) != {"prefix"}:
            raise UnknownOperator(alternative)
        return isinstance(value, str) and value.startswith(alternative["prefix"])
    return type(alternative) is type(value) and alternative == value
