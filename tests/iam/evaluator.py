"""The evaluator, which is not ours and runs in a process of its own."""

import functools
import json
import os
import subprocess
from dataclasses import dataclass, field

from place import ACCOUNT

ALLOW_ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


def _numbered(word, policies):
    return [{"name": f"{word}-{number}", "policy": policy} for number, policy in enumerate(policies)]


@dataclass
class Question:
    """May a principal with these policies do this to this resource?"""

    principal: str
    action: str
    resource: str
    context: dict
    identity: list
    boundary: dict | None = None
    control: dict | None = None
    of_resource: dict | None = None

    def simulation(self):
        """As the evaluator takes it."""
        controls = [ALLOW_ALL, self.control] if self.control else [ALLOW_ALL]
        return {
            "request": {
                "principal": self.principal,
                "action": self.action,
                "resource": {"resource": self.resource, "accountId": ACCOUNT},
                "contextVariables": self.context,
            },
            "identityPolicies": _numbered("policy", self.identity),
            "serviceControlPolicies": [
                {
                    "orgIdentifier": "o-organisation",
                    "policies": _numbered("control", controls),
                }
            ],
            "resourceControlPolicies": [],
            **({"resourcePolicy": self.of_resource} if self.of_resource else {}),
            **({"permissionBoundaryPolicies": _numbered("boundary", [self.boundary])} if self.boundary else {}),
        }


@dataclass
class Answers:
    """For each question whether it is allowed; for each action, and each of a service, what AWS documents about it."""

    allowed: list = field(default_factory=list)
    documented: dict = field(default_factory=dict)


@functools.cache
def _evaluator():
    """One process for all questions; it ends with its standard input."""
    command = [os.environ["TAGWIRE_NODE"], os.environ["TAGWIRE_EVALUATE"]]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8")


def ask(questions, actions=(), services=()):
    """Asks all at once, and fails for a question that is not one AWS could ask."""
    simulations = [question.simulation() for question in questions]
    text = json.dumps({"simulations": simulations, "actions": sorted(actions), "services": list(services)})
    evaluator = _evaluator()
    evaluator.stdin.write(text + "\n")
    evaluator.stdin.flush()
    output = json.loads(evaluator.stdout.readline())
    answers = Answers(documented=output["documented"])
    for question, answer in zip(questions, output["answers"], strict=True):
        asked = f"{question.action} on {question.resource} with {question.context}"
        assert "error" not in answer, f"{asked}: {answer['error']}"
        # Keys that AWS does not document for the action and the type of the resource.
        assert not answer["ignored"], f"{asked}: not documented {answer['ignored']}"
        answers.allowed.append(answer["result"] == "Allowed")
    return answers
