"""DB instances and DB clusters."""

import urllib.error

import pytest
from conftest import eventually, refusal

ENGINES = {"aurora-postgresql": 5432, "aurora-mysql": 3306, "postgres": 5432, "docdb": 27017, "neptune": 8182}


def groups_of(store):
    return {group["VpcSecurityGroupId"] for group in store["VpcSecurityGroups"]}


def cluster(network, name):
    return network.rds.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"][0]


def database(network, name):
    return network.rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]


@pytest.mark.parametrize("engine", ENGINES)
def test_cluster_tells_what_a_connection_needs(network, name, engine):
    group = network.group()
    name = f"cluster-of-{engine}"
    tags = [{"Key": "tagwire:connect", "Value": "orders"}]
    made = network.cluster(name, group, Engine=engine, Tags=tags)
    seen = cluster(network, name)
    assert seen["Status"] == "available"
    assert seen["Engine"] == engine
    assert seen["Port"] == ENGINES[engine]
    assert seen["TagList"] == tags
    assert seen["DbClusterResourceId"] == made["DbClusterResourceId"]
    assert seen["DbClusterResourceId"].startswith("cluster-")
    assert seen["DBClusterArn"] == f"arn:aws:rds:us-east-1:123456789012:cluster:{name}"
    assert seen["DBSubnetGroup"] == network.subnet_group
    assert seen["VpcSecurityGroups"] == [{"VpcSecurityGroupId": group, "Status": "active"}]


def test_database_tells_what_a_connection_needs(network, name):
    group = network.group()
    tags = [{"Key": "tagwire:connect", "Value": "orders"}]
    network.database(name, group, Tags=tags, Port=6000)
    network.database(f"{name}-2")
    seen = database(network, name)
    assert seen["DBInstanceStatus"] == "available"
    assert seen["DbiResourceId"] != database(network, f"{name}-2")["DbiResourceId"]
    assert seen["TagList"] == tags
    assert seen["Endpoint"]["Port"] == 6000
    assert seen["DBSubnetGroup"]["VpcId"] == network.vpc
    assert seen["DBInstanceArn"] == f"arn:aws:rds:us-east-1:123456789012:db:{name}"
    assert "DBClusterIdentifier" not in seen
    assert seen["VpcSecurityGroups"] == [{"VpcSecurityGroupId": group, "Status": "active"}]


@pytest.mark.parametrize("engine", ["aurora-postgresql", "docdb", "neptune"])
def test_member_belongs_to_its_cluster(network, name, engine):
    name, group = f"member-of-{engine}", network.group()
    network.cluster(f"{name}-c", group, Engine=engine)
    network.rds.create_db_instance(
        DBInstanceIdentifier=name, DBInstanceClass="db.r6g.large", Engine=engine, DBClusterIdentifier=f"{name}-c"
    )
    seen = database(network, name)
    assert seen["DBClusterIdentifier"] == f"{name}-c"
    assert seen["DBSubnetGroup"]["VpcId"] == network.vpc
    assert groups_of(seen) == {group}
    members = cluster(network, f"{name}-c")["DBClusterMembers"]
    assert [member["DBInstanceIdentifier"] for member in members] == [name]


def test_store_without_groups_gets_the_default_one_of_its_vpc(network, name):
    network.cluster(f"c-{name}")
    network.database(f"d-{name}")
    assert groups_of(cluster(network, f"c-{name}")) == {network.default_group}
    assert groups_of(database(network, f"d-{name}")) == {network.default_group}


def test_store_without_subnet_group_lies_in_the_default_vpc(network, name):
    network.rds.create_db_cluster(
        DBClusterIdentifier=name, Engine="aurora-mysql", MasterUsername="someone", MasterUserPassword="something"
    )
    assert cluster(network, name)["DBSubnetGroup"] == "default"
    group = network.rds.describe_db_subnet_groups(DBSubnetGroupName="default")["DBSubnetGroups"][0]
    vpcs = network.ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    assert group["VpcId"] == vpcs[0]["VpcId"]


def test_unknown_subnet_group_is_refused(network, name):
    arguments = {
        "Engine": "aurora-mysql",
        "MasterUsername": "someone",
        "MasterUserPassword": "something",
        "DBSubnetGroupName": "nowhere",
    }
    call = network.rds.create_db_cluster
    assert refusal(call, DBClusterIdentifier=name, **arguments) == "DBSubnetGroupNotFoundFault"


def test_second_cluster_of_a_name_is_refused_and_the_first_stays(network, name):
    group = network.group()
    first = network.cluster(name, group)
    code = refusal(
        network.rds.create_db_cluster,
        DBClusterIdentifier=name,
        Engine="aurora-mysql",
        MasterUsername="someone",
        MasterUserPassword="something",
    )
    assert code == "DBClusterAlreadyExistsFault"
    seen = cluster(network, name)
    assert seen["DbClusterResourceId"] == first["DbClusterResourceId"]
    assert groups_of(seen) == {group}


def test_unknown_store_is_not_found(network):
    for call, code in (
        (network.rds.modify_db_cluster, "DBClusterNotFoundFault"),
        (network.rds.describe_db_clusters, "DBClusterNotFoundFault"),
    ):
        assert refusal(call, DBClusterIdentifier="nothing") == code
    for call in (network.rds.modify_db_instance, network.rds.describe_db_instances):
        assert refusal(call, DBInstanceIdentifier="nothing") == "DBInstanceNotFound"


def test_groups_of_a_store_are_replaced(network, name):
    first, second = network.groups(2)
    network.cluster(f"c-{name}", first)
    network.database(f"d-{name}", first)
    network.rds.modify_db_cluster(DBClusterIdentifier=f"c-{name}", VpcSecurityGroupIds=[second])
    network.rds.modify_db_instance(DBInstanceIdentifier=f"d-{name}", VpcSecurityGroupIds=[second])
    assert groups_of(cluster(network, f"c-{name}")) == {second}
    assert groups_of(database(network, f"d-{name}")) == {second}


def test_groups_that_a_store_cannot_carry_are_refused(network, new_network, name):
    network.cluster(f"c-{name}")
    network.database(f"d-{name}")
    foreign, many = new_network().group(), network.groups(6)
    for groups, code in (
        (["sg-00000000000000000"], "InvalidParameterValue"),
        ([foreign], "InvalidParameterCombination"),
        (many, "InvalidParameterValue"),
    ):
        call = network.rds.modify_db_cluster
        assert refusal(call, DBClusterIdentifier=f"c-{name}", VpcSecurityGroupIds=groups) == code
        call = network.rds.modify_db_instance
        assert refusal(call, DBInstanceIdentifier=f"d-{name}", VpcSecurityGroupIds=groups) == code
    assert groups_of(cluster(network, f"c-{name}")) == {network.default_group}
    assert groups_of(database(network, f"d-{name}")) == {network.default_group}


def test_groups_of_a_member_are_its_clusters(network, name):
    network.cluster(f"{name}-c")
    network.rds.create_db_instance(
        DBInstanceIdentifier=name,
        DBInstanceClass="db.r6g.large",
        Engine="aurora-postgresql",
        DBClusterIdentifier=f"{name}-c",
    )
    call = network.rds.modify_db_instance
    code = refusal(call, DBInstanceIdentifier=name, VpcSecurityGroupIds=[network.group()])
    assert code == "InvalidParameterCombination"


@pytest.mark.parametrize("status", ["creating", "modifying", "stopped"])
def test_cluster_in_another_state_refuses_changes(network, name, set_status, status):
    name, group = f"cluster-{status}", network.group()
    arn = network.cluster(name)["DBClusterArn"]
    assert set_status(arn, status)["before"] == "available"
    # Twice, since reading a state once moved it on.
    assert cluster(network, name)["Status"] == status
    assert cluster(network, name)["Status"] == status
    call = network.rds.modify_db_cluster
    assert refusal(call, DBClusterIdentifier=name, VpcSecurityGroupIds=[group]) == "InvalidDBClusterStateFault"
    set_status(name, "available", kind="cluster")
    network.rds.modify_db_cluster(DBClusterIdentifier=name, VpcSecurityGroupIds=[group])
    assert groups_of(cluster(network, name)) == {group}


@pytest.mark.parametrize("status", ["creating", "modifying"])
def test_database_in_another_state_refuses_changes(network, name, set_status, status):
    name, group = f"database-{status}", network.group()
    network.database(name)
    set_status(name, status)
    assert database(network, name)["DBInstanceStatus"] == status
    call = network.rds.modify_db_instance
    assert refusal(call, DBInstanceIdentifier=name, VpcSecurityGroupIds=[group]) == "InvalidDBInstanceState"
    set_status(name, "available")
    network.rds.modify_db_instance(DBInstanceIdentifier=name, VpcSecurityGroupIds=[group])
    assert groups_of(database(network, name)) == {group}


def test_state_of_an_unknown_store_cannot_be_set(set_status):
    with pytest.raises(urllib.error.HTTPError) as caught:
        set_status("nothing", "modifying")
    assert caught.value.code == 400
    assert "nothing" in caught.value.read().decode()


@pytest.mark.parametrize("kind", ["clusters", "instances"])
def test_stores_are_paged(network, kind):
    for number in range(21):
        if kind == "clusters":
            network.cluster(f"paged-{number}")
        else:
            network.database(f"paged-{number}")
    describe = getattr(network.rds, f"describe_db_{kind}")
    key = {"clusters": "DBClusters", "instances": "DBInstances"}[kind]
    seen, marker, pages = [], None, 0
    while pages == 0 or marker:
        answer = describe(MaxRecords=20, **({"Marker": marker} if marker else {}))
        assert len(answer[key]) <= 20
        seen.extend(store["DbClusterResourceId" if kind == "clusters" else "DbiResourceId"] for store in answer[key])
        marker, pages = answer.get("Marker"), pages + 1
    assert pages >= 2
    assert len(seen) == len(set(seen)) >= 21


def test_deleted_store_is_gone_and_frees_its_groups(network, name):
    group = network.group()
    network.cluster(name, group)
    network.rds.delete_db_cluster(DBClusterIdentifier=name, SkipFinalSnapshot=True)
    assert refusal(network.rds.describe_db_clusters, DBClusterIdentifier=name) == "DBClusterNotFoundFault"
    network.ec2.delete_security_group(GroupId=group)


def test_store_made_again_under_a_name_is_another_one(network, name):
    first = network.cluster(f"c-{name}", Tags=[{"Key": "a", "Value": "b"}])
    network.database(f"d-{name}", Tags=[{"Key": "a", "Value": "b"}])
    database_before = database(network, f"d-{name}")
    network.rds.delete_db_cluster(DBClusterIdentifier=f"c-{name}", SkipFinalSnapshot=True)
    network.rds.delete_db_instance(DBInstanceIdentifier=f"d-{name}", SkipFinalSnapshot=True)
    assert network.cluster(f"c-{name}")["DbClusterResourceId"] != first["DbClusterResourceId"]
    network.database(f"d-{name}")
    database_after = database(network, f"d-{name}")
    assert database_after["DbiResourceId"] != database_before["DbiResourceId"]
    assert database_after["DBInstanceArn"] == database_before["DBInstanceArn"]
    assert database_after["TagList"] == cluster(network, f"c-{name}")["TagList"] == []


def test_rename_of_a_cluster_keeps_what_it_is_and_has(network, name):
    tags, group = [{"Key": "tagwire:connect", "Value": "orders"}], network.group()
    before = network.cluster(name, group, Tags=tags)
    network.rds.create_db_instance(
        DBInstanceIdentifier=f"m-{name}",
        DBInstanceClass="db.r6g.large",
        Engine="aurora-postgresql",
        DBClusterIdentifier=name,
    )
    network.rds.modify_db_cluster(
        DBClusterIdentifier=name, NewDBClusterIdentifier=f"{name}-new", ApplyImmediately=True
    )
    after = cluster(network, f"{name}-new")
    assert after["DbClusterResourceId"] == before["DbClusterResourceId"]
    assert after["DBClusterArn"].endswith(f":cluster:{name}-new")
    assert (after["TagList"], groups_of(after)) == (tags, {group})
    assert [member["DBInstanceIdentifier"] for member in after["DBClusterMembers"]] == [f"m-{name}"]
    assert groups_of(database(network, f"m-{name}")) == {group}
    assert refusal(network.rds.describe_db_clusters, DBClusterIdentifier=name) == "DBClusterNotFoundFault"


def test_rename_of_a_database_keeps_what_it_is_and_has(network, name):
    tags, group = [{"Key": "tagwire:connect", "Value": "orders"}], network.group()
    network.database(name, group, Tags=tags)
    before = database(network, name)
    network.rds.modify_db_instance(
        DBInstanceIdentifier=name, NewDBInstanceIdentifier=f"{name}-new", ApplyImmediately=True
    )
    after = database(network, f"{name}-new")
    assert after["DbiResourceId"] == before["DbiResourceId"]
    assert after["DBInstanceArn"].endswith(f":db:{name}-new")
    assert (after["TagList"], groups_of(after)) == (tags, {group})
    assert refusal(network.rds.describe_db_instances, DBInstanceIdentifier=name) == "DBInstanceNotFound"


def test_store_restored_under_an_old_name_is_another_one(network, name):
    group = network.group()
    network.database(f"d-{name}", group)
    network.cluster(f"c-{name}", group)
    before = database(network, f"d-{name}")["DbiResourceId"], cluster(network, f"c-{name}")["DbClusterResourceId"]
    rds = network.rds
    rds.create_db_snapshot(DBSnapshotIdentifier=f"d-{name}", DBInstanceIdentifier=f"d-{name}")
    rds.create_db_cluster_snapshot(DBClusterSnapshotIdentifier=f"c-{name}", DBClusterIdentifier=f"c-{name}")
    rds.modify_db_instance(DBInstanceIdentifier=f"d-{name}", NewDBInstanceIdentifier=f"kept-d-{name}")
    rds.modify_db_cluster(DBClusterIdentifier=f"c-{name}", NewDBClusterIdentifier=f"kept-c-{name}")
    place = {"DBSubnetGroupName": network.subnet_group, "VpcSecurityGroupIds": [group]}
    rds.restore_db_instance_from_db_snapshot(
        DBInstanceIdentifier=f"d-{name}", DBSnapshotIdentifier=f"d-{name}", **place
    )
    rds.restore_db_cluster_from_snapshot(
        DBClusterIdentifier=f"c-{name}", SnapshotIdentifier=f"c-{name}", Engine="aurora-postgresql", **place
    )
    restored = database(network, f"d-{name}"), cluster(network, f"c-{name}")
    assert [groups_of(store) for store in restored] == [{group}, {group}]
    assert restored[0]["DbiResourceId"] != before[0]
    assert restored[1]["DbClusterResourceId"] != before[1]
    assert database(network, f"kept-d-{name}")["DbiResourceId"] == before[0]
    assert cluster(network, f"kept-c-{name}")["DbClusterResourceId"] == before[1]


def test_blue_green_switch_over_swaps_the_names(network, name):
    name, group = "switched", network.group()
    network.database(name, group, Engine="mysql", BackupRetentionPeriod=1)
    blue = database(network, name)
    rds = network.rds
    made = rds.create_blue_green_deployment(BlueGreenDeploymentName=name, Source=blue["DBInstanceArn"])
    rds.switchover_blue_green_deployment(
        BlueGreenDeploymentIdentifier=made["BlueGreenDeployment"]["BlueGreenDeploymentIdentifier"]
    )
    green = database(network, name)
    assert green["DbiResourceId"] != blue["DbiResourceId"]
    assert groups_of(green) == {group}
    old = database(network, f"{name}-old1")
    assert (old["DbiResourceId"], groups_of(old)) == (blue["DbiResourceId"], {group})


def test_stores_are_found_by_their_resource_ids(network, name):
    names = [f"{name}-1", f"{name}-2"]
    identities = [network.cluster(each)["DbClusterResourceId"] for each in [*names, f"{name}-3"]][:2]
    answer = network.rds.describe_db_clusters(Filters=[{"Name": "db-cluster-resource-id", "Values": identities}])
    assert [found["DBClusterIdentifier"] for found in answer["DBClusters"]] == names
    for each in [*names, f"{name}-3"]:
        network.database(each)
    identities = [database(network, each)["DbiResourceId"] for each in names]
    answer = network.rds.describe_db_instances(Filters=[{"Name": "dbi-resource-id", "Values": identities}])
    assert [found["DBInstanceIdentifier"] for found in answer["DBInstances"]] == names


def test_tags_of_a_store_are_told_everywhere(network, tag_index, name):
    tag = {"Key": "tagwire:connect", "Value": "orders"}
    network.database(f"d-{name}")
    for arn, tags in (
        (network.cluster(f"c-{name}")["DBClusterArn"], lambda: cluster(network, f"c-{name}")["TagList"]),
        (database(network, f"d-{name}")["DBInstanceArn"], lambda: database(network, f"d-{name}")["TagList"]),
    ):

        def indexed(arn=arn):
            found = tag_index.get_resources(ResourceARNList=[arn])["ResourceTagMappingList"]
            return [resource["Tags"] for resource in found]

        assert (tags(), indexed()) == ([], [])
        network.rds.add_tags_to_resource(ResourceName=arn, Tags=[tag])
        assert (tags(), indexed()) == ([tag], [[tag]])
        network.rds.remove_tags_from_resource(ResourceName=arn, TagKeys=["tagwire:connect"])
        # The index goes on listing what once had a tag.
        assert (tags(), indexed()) == ([], [[]])


def test_groups_are_on_their_way_until_the_store_has_arrived(network, name, delays, set_status):
    old, stays, new = network.groups(3)
    network.cluster(f"c-{name}", old, stays)
    network.database(f"d-{name}", old, stays)
    delays(changing=600)
    network.rds.modify_db_cluster(DBClusterIdentifier=f"c-{name}", VpcSecurityGroupIds=[stays, new])
    network.rds.modify_db_instance(DBInstanceIdentifier=f"d-{name}", VpcSecurityGroupIds=[stays, new])

    def statuses(store):
        return {group["VpcSecurityGroupId"]: group["Status"] for group in store["VpcSecurityGroups"]}

    on_their_way = {old: "removing", stays: "active", new: "adding"}
    seen = cluster(network, f"c-{name}")
    assert (seen["Status"], statuses(seen)) == ("modifying", on_their_way)
    seen = database(network, f"d-{name}")
    assert (seen["DBInstanceStatus"], statuses(seen)) == ("modifying", on_their_way)
    call = network.rds.modify_db_cluster
    code = refusal(call, DBClusterIdentifier=f"c-{name}", VpcSecurityGroupIds=[old])
    assert code == "InvalidDBClusterStateFault"
    assert refusal(network.ec2.delete_security_group, GroupId=old) == "DependencyViolation"

    set_status(f"c-{name}", "available")
    set_status(f"d-{name}", "available")
    arrived = {stays: "active", new: "active"}
    assert statuses(cluster(network, f"c-{name}")) == statuses(database(network, f"d-{name}")) == arrived
    network.ec2.delete_security_group(GroupId=old)


def test_store_that_is_being_created_has_no_endpoint_and_takes_no_change(network, name, delays, set_status):
    delays(creating=600)
    network.database(name)
    seen = database(network, name)
    assert (seen["DBInstanceStatus"], "Endpoint" in seen) == ("creating", False)
    call = network.rds.modify_db_instance
    code = refusal(call, DBInstanceIdentifier=name, VpcSecurityGroupIds=[network.default_group])
    assert code == "InvalidDBInstanceState"
    set_status(name, "available")
    assert database(network, name)["Endpoint"]["Port"] == 5432


def test_stores_arrive_by_themselves(network, name, delays):
    delays(creating=0.2, changing=0.2)
    group = network.group()
    network.cluster(name)
    eventually(lambda: cluster(network, name)["Status"], "available")
    network.rds.modify_db_cluster(DBClusterIdentifier=name, VpcSecurityGroupIds=[group])
    active = [{"VpcSecurityGroupId": group, "Status": "active"}]
    eventually(lambda: cluster(network, name)["VpcSecurityGroups"], active)
    assert cluster(network, name)["Status"] == "available"


def test_unknown_delay_is_refused(control):
    with pytest.raises(urllib.error.HTTPError) as caught:
        control("delays", thinking=1)
    assert "thinking" in caught.value.read().decode()
