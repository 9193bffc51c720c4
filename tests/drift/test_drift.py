"""The comparison notices what it is for: models are doctored, and it has to say so."""

import copy
import datetime
import os
import re

import operations
import pytest
from drift import differences, judgements, main, old_facts
from facts import CHECKS, broken
from operations import TOP
from shapes import Model, Release

WHEEL = os.environ["TAGWIRE_JUDGED_BOTOCORE"]


@pytest.fixture(scope="session")
def theirs():
    return Release(WHEEL)


@pytest.fixture(scope="session")
def known(theirs):
    return differences(theirs)


@pytest.fixture
def doctored(theirs, known):
    """Applies a change to a service's model and gives the differences that this makes."""

    def doctor(service, change):
        document = copy.deepcopy(theirs[service].document)
        change(document)
        return {(new.what, new.grave) for new in differences(theirs | {service: Model(document)}) - known}

    return doctor


def test_every_judgement_says_what_was_found():
    assert judgements()["judged"]
    assert all(finding.strip() for finding in judgements()["judged"].values())


def test_the_judged_version_is_the_locked_one_and_was_looked_at_in_a_month():
    locked = (TOP / "tests" / "drift" / "requirements.txt").read_text(encoding="utf-8")
    assert f"botocore=={judgements()['botocore']} " in locked
    assert f"botocore-{judgements()['botocore']}-" in WHEEL
    assert re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", judgements()["looked-at"])


def test_every_operation_is_compared(theirs, known):
    assert len(operations.called()) > 50
    assert known
    assert {operation.model for operation in operations.called()} <= set(theirs)


def test_a_member_that_the_code_reads_may_not_vanish(doctored):
    found = doctored("rds", lambda model: model["shapes"]["DBCluster"]["members"].pop("VpcSecurityGroups"))
    assert found == {("rds DBCluster.vpc_security_groups: removed", True)}


def test_a_member_that_the_code_sends_may_not_be_renamed(doctored):
    def rename(model):
        members = model["shapes"]["ModifyDBInstanceMessage"]["members"]
        members["VpcSecurityGroups"] = members.pop("VpcSecurityGroupIds")

    assert doctored("rds", rename) == {
        ("rds ModifyDBInstance input.vpc_security_group_ids: removed", True),
        ("rds ModifyDBInstance input.VpcSecurityGroups: added", False),
    }


def test_a_member_that_the_code_does_not_use_may_vanish_with_a_warning(doctored):
    found = doctored("rds", lambda model: model["shapes"]["DBCluster"]["members"].pop("PercentProgress"))
    assert found == {("rds DBCluster.percent_progress: removed", False)}


def test_a_new_member_is_a_warning(doctored):
    new = {"shape": "String"}
    found = doctored("rds", lambda model: model["shapes"]["DBCluster"]["members"].update(Orbit=new))
    assert found == {("rds DBCluster.Orbit: added", False)}


def test_an_operation_that_the_code_calls_may_not_vanish(doctored):
    found = doctored("redshift", lambda model: model["operations"].pop("ModifyCluster"))
    assert ("redshift ModifyCluster: removed", True) in found


def test_an_error_may_not_get_another_code(doctored):
    def rename(model):
        model["shapes"]["InvalidDBClusterStateFault"]["error"]["code"] = "DBClusterBusy"

    found = doctored("rds", rename)
    assert ("rds ModifyDBCluster, error InvalidDBClusterStateFault: now DBClusterBusy", True) in found


def test_a_new_error_is_a_warning(doctored):
    errors = [{"shape": "DBInstanceNotFoundFault"}]
    found = doctored("rds", lambda model: model["operations"]["DescribeDBSubnetGroups"]["errors"].extend(errors))
    assert found == {("rds DescribeDBSubnetGroups, error DBInstanceNotFound: added", False)}


def test_a_state_that_the_code_names_may_not_vanish_and_a_new_one_is_a_warning(doctored):
    def change(model):
        states = model["shapes"]["InstanceStateName"]["enum"]
        states[states.index("terminated")] = "ended"

    assert doctored("ec2", change) == {
        ("ec2 InstanceStateName, value terminated: removed", True),
        ("ec2 InstanceStateName, value ended: added", False),
    }


def test_a_filter_that_the_code_uses_may_not_vanish_from_the_documentation(doctored):
    def change(model):
        filters = model["shapes"]["DescribeDBClustersMessage"]["members"]["Filters"]
        filters["documentation"] = filters["documentation"].replace("db-cluster-resource-id", "db-cluster-uid")

    assert doctored("rds", change) == {
        ("rds DescribeDBClusters input.Filters, documented db-cluster-resource-id: removed", True),
        ("rds DescribeDBClusters input.Filters, documented db-cluster-uid: added", False),
    }


def test_a_state_that_only_the_documentation_lists_may_not_vanish_if_the_table_of_services_names_it(doctored):
    def change(model):
        status = model["shapes"]["ReplicationGroup"]["members"]["Status"]
        status["documentation"] = status["documentation"].replace("<code>available</code>", "<code>ready</code>")

    assert doctored("elasticache", change) == {
        ("elasticache ReplicationGroup.Status, documented available: removed", True),
        ("elasticache ReplicationGroup.Status, documented ready: added", False),
    }


def test_a_state_that_only_the_documentation_lists_is_a_warning(doctored):
    def change(model):
        status = model["shapes"]["Cluster"]["members"]["ClusterStatus"]
        status["documentation"] += "<code>hibernating</code>"

    assert doctored("redshift", change) == {("redshift Cluster.ClusterStatus, documented hibernating: added", False)}


def test_what_is_grave_fails_the_run_until_it_is_judged(monkeypatch, capsys):
    assert main(WHEEL) == 0
    assert "FAILED" not in capsys.readouterr().out
    monkeypatch.setattr("drift.judgements", lambda: {"judged": {"*: added": "seen", "ec2 Orbit*": "seen"}})
    assert main(WHEEL) == 1
    said = capsys.readouterr().out
    assert "FAILED: dynamodb PutItem, error InvalidEndpointException: removed" in said
    assert "leave it out of tests/drift/judged.toml: ec2 Orbit*" in said


def test_facts_that_nobody_looked_at_for_a_year_are_named():
    assert old_facts(datetime.date(2026, 11, 30)) == []
    assert len(old_facts(datetime.date(2099, 1, 1))) > 50


def test_every_fact_that_was_read_in_the_models_is_read_again():
    text = (TOP / "docs" / "aws-facts.md").read_text(encoding="utf-8")
    checked = re.findall(r"^### (\d+\.\d+) .*?Checked: (.*?)\s+Looked\s+at:", text, flags=re.MULTILINE | re.DOTALL)
    assert {number for number, how in checked if re.search(r"\bmodel\b", how)} == set(CHECKS)
    assert all(CHECKS.values())


def test_every_fact_holds_in_the_judged_release(theirs):
    assert broken(theirs) == []


@pytest.mark.parametrize("number", CHECKS)
def test_no_check_of_a_fact_holds_of_anything(number):
    class Empty(dict):
        def __missing__(self, service):
            nothing = {"errors": []}
            operations = {name: nothing for name in ("ModifyDBInstance", "ModifyDBCluster", "ModifyReplicationGroup")}
            operations |= {name: nothing for name in ("ModifyCacheCluster", "ModifyServerlessCache")}
            return Model({"shapes": {}, "operations": operations})

        def partitions(self):
            return set()

    assert not any(check.holds(Empty()) for check in CHECKS[number])
