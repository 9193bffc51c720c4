"""Launch templates."""

from conftest import refusal


def make(ec2, name, **data):
    return ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)["LaunchTemplate"]


def versions(ec2, **more):
    answer = ec2.describe_launch_template_versions(Versions=["$Latest", "$Default"], **more)
    return answer["LaunchTemplateVersions"], answer.get("NextToken")


def test_latest_and_default_versions_of_all_templates_name_their_groups(network, name):
    first, second, third = network.groups(3)
    make(network.ec2, f"{name}-ids", SecurityGroupIds=[first])
    network.ec2.create_launch_template_version(
        LaunchTemplateName=f"{name}-ids", LaunchTemplateData={"SecurityGroups": ["by-name"]}
    )
    network.ec2.create_launch_template_version(
        LaunchTemplateName=f"{name}-ids",
        LaunchTemplateData={"NetworkInterfaces": [{"DeviceIndex": 0, "Groups": [second, third]}]},
    )
    make(network.ec2, f"{name}-one", SecurityGroupIds=[third])
    found, _ = versions(network.ec2)
    mine = {
        (version["LaunchTemplateName"], version["VersionNumber"]): version["LaunchTemplateData"]
        for version in found
        if version["LaunchTemplateName"].startswith(name)
    }
    assert list(mine) == [(f"{name}-ids", 3), (f"{name}-ids", 1), (f"{name}-one", 1)]
    assert mine[f"{name}-ids", 1]["SecurityGroupIds"] == [first]
    assert mine[f"{name}-ids", 3]["NetworkInterfaces"][0]["Groups"] == [second, third]
    network.ec2.modify_launch_template(LaunchTemplateName=f"{name}-ids", DefaultVersion="2")
    found, _ = versions(network.ec2, LaunchTemplateName=f"{name}-ids")
    assert [version["VersionNumber"] for version in found] == [3, 2]
    assert found[1]["LaunchTemplateData"]["SecurityGroups"] == ["by-name"]


def test_versions_of_all_templates_are_paged(network, name):
    for number in range(20):
        make(network.ec2, f"{name}-{number}", ImageId="ami-12345678")
    found, pages, token = [], 0, {}
    while pages == 0 or token:
        versions_of_page, following = versions(network.ec2, MaxResults=8, **token)
        assert len(versions_of_page) <= 8
        found.extend((version["LaunchTemplateName"], version["VersionNumber"]) for version in versions_of_page)
        pages, token = pages + 1, {"NextToken": following} if following else {}
    assert pages > 2
    assert len(found) == len(set(found))
    assert {(f"{name}-{number}", 1) for number in range(20)} <= set(found)
    assert len(versions(network.ec2)[0]) == len(found)


def test_templates_or_versions_must_be_named(network):
    call = network.ec2.describe_launch_template_versions
    assert refusal(call) == "MissingParameter"
    assert refusal(call, Versions=["1"]) == "InvalidParameterValue"
    assert refusal(call, Versions=["$Latest"], MaxResults=201) == "InvalidParameterValue"
