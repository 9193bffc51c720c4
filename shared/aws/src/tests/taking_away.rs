//! What is asked before something is taken away, and how it is: who has a group, what launch
//! templates name, where a store with an identity is now, deleting, and the status tag.

use std::collections::BTreeMap;

use tagwire_core::{
    observation::{AttachedInterface, Gap, InterfaceOwner},
    plan::StatusOf,
};

use super::*;

fn groups(ids: &[&str]) -> BTreeSet<SecurityGroupId> {
    ids.iter().map(|id| sg(id)).collect()
}

/// An interface with its attachment, as EC2 shows it.
fn interface(id: &str, attachment: &str, description: &str, group: &str) -> String {
    format!(
        "<item><networkInterfaceId>{id}</networkInterfaceId><vpcId>vpc-1</vpcId><description>{description}</description>{attachment}<groupSet><item><groupId>{group}</groupId></item><item><groupId>sg-9</groupId></item></groupSet></item>"
    )
}

fn attachment(instance: &str, device: u8, card: u8) -> String {
    format!(
        "<attachment><instanceId>{instance}</instanceId><deviceIndex>{device}</deviceIndex><networkCardIndex>{card}</networkCardIndex></attachment>"
    )
}

fn interfaces(items: &[String], next: &str) -> String {
    let items = items.concat();
    format!(
        "<DescribeNetworkInterfacesResponse><networkInterfaceSet>{items}</networkInterfaceSet><nextToken>{next}</nextToken></DescribeNetworkInterfacesResponse>"
    )
}

fn attached(interface: &str, owner: InterfaceOwner, group: &str) -> AttachedInterface {
    AttachedInterface { interface: InterfaceId::parse(interface).unwrap(), owner, groups: groups(&[group, "sg-9"]) }
}

fn of_instance(id: &str, primary: bool) -> InterfaceOwner {
    InterfaceOwner::Instance { id: InstanceId::parse(id).unwrap(), primary, copies: false }
}

fn other(description: &str) -> InterfaceOwner {
    InterfaceOwner::Other { description: description.into() }
}

/// The call that failed, and what it was made for.
fn reading_of(gap: &Gap) -> String {
    format!("{}:{} on {}", gap.service, gap.operation, gap.on)
}

#[tokio::test]
async fn everything_that_has_a_group_is_found_and_told_apart() {
    // Interfaces of services are attached to something, but to no instance of the account.
    let of_service =
        "<attachment><instanceOwnerId>amazon-aws</instanceOwnerId><deviceIndex>0</deviceIndex></attachment>";
    let first = [
        interface("eni-5", of_service, "AWS Lambda VPC ENI-orders-1", "sg-1"),
        interface("eni-1", &attachment("i-1", 0, 0), "", "sg-1"),
        interface("eni-2", &attachment("i-1", 1, 0), "", "sg-2"),
    ];
    let second = [
        interface("eni-3", &attachment("i-1", 0, 1), "", "sg-1"),
        interface("eni-4", of_service, "RDSNetworkInterface", "sg-2"),
        interface("eni-6", "", "", "sg-1"),
    ];
    let script = Script::default().then(200, interfaces(&first, "more")).then(200, interfaces(&second, ""));
    let reading = script.aws().attached_interfaces(&vpc(), &groups(&["sg-1", "sg-2"])).await;
    assert_eq!(reading.gaps, []);
    assert_eq!(
        reading.found,
        [
            attached("eni-1", of_instance("i-1", true), "sg-1"),
            attached("eni-2", of_instance("i-1", false), "sg-2"),
            attached("eni-3", of_instance("i-1", false), "sg-1"),
            attached("eni-4", other("RDSNetworkInterface"), "sg-2"),
            attached("eni-5", other("AWS Lambda VPC ENI-orders-1"), "sg-1"),
            attached("eni-6", other("without a description"), "sg-1"),
        ]
    );
    let asked = script.asked();
    let first = "Action=DescribeNetworkInterfaces&Version=2016-11-15&MaxResults=1000&IncludeManagedResources=true&Filter.1.Name=vpc-id&Filter.1.Value.1=vpc-1&Filter.2.Name=group-id&Filter.2.Value.1=sg-1&Filter.2.Value.2=sg-2";
    assert_eq!(without(&asked[0], "&NextToken="), first);
    assert_eq!((without(&asked[1], "&NextToken=more"), asked.len()), (first.to_owned(), 2));
}

/// A request without one of its parameters, wherever that stands.
fn without(asked: &str, parameter: &str) -> String {
    asked.replacen(parameter, "", 1)
}

/// An interface that is attached to nothing, with more about it.
fn loose(id: &str, description: &str, more: &str) -> String {
    interface(id, &format!("<status>available</status>{more}"), description, "sg-1")
}

#[tokio::test]
async fn an_interface_that_outlived_its_instance_is_nobody_s_and_one_of_a_service_is_not() {
    let managed = |by: &str| format!("<operator><managed>true</managed><principal>{by}</principal></operator>");
    let of_connector = "<tagSet><item><key>aws:lambda:networkConnectorName</key><value>orders</value></item></tagSet>";
    let items = [
        loose("eni-1", "left over", "<interfaceType>interface</interfaceType>"),
        loose("eni-2", "", ""),
        loose("eni-3", "", "<requesterManaged>true</requesterManaged>"),
        loose("eni-4", "an endpoint", "<interfaceType>vpc_endpoint</interfaceType>"),
        loose("eni-5", "node", &managed("eks.amazonaws.com")),
        loose("eni-6", "", &managed("scaler.lambda.amazonaws.com")),
        loose("eni-7", "egress", &format!("{}{of_connector}", managed("network-connectors.lambda.amazonaws.com"))),
        interface("eni-8", &attachment("i-1", 1, 0), "aws-K8S-i-1", "sg-1"),
        // On its way to a node, or on its way off.
        loose("eni-9", "aws-K8S-i-1", "<interfaceType>interface</interfaceType>"),
        loose("eni-10", "aws-K8S-somebody", ""),
    ];
    let script = Script::default().then(200, interfaces(&items, ""));
    let reading = script.aws().attached_interfaces(&vpc(), &groups(&["sg-1"])).await;
    assert_eq!(reading.gaps, []);
    let owners: Vec<InterfaceOwner> = reading.found.into_iter().map(|attached| attached.owner).collect();
    let nobody = |description: &str| InterfaceOwner::Nobody { description: description.into() };
    let copies = InterfaceOwner::Instance { id: InstanceId::parse("i-1").unwrap(), primary: false, copies: true };
    assert_eq!(
        owners,
        [
            nobody("left over"),
            nobody("aws-K8S-somebody"),
            nobody("without a description"),
            other("without a description"),
            other("an endpoint"),
            other("eks.amazonaws.com: node"),
            other("a Lambda capacity provider (scaler.lambda.amazonaws.com)"),
            other("Lambda network connector orders: egress"),
            copies.clone(),
            copies,
        ]
    );
}

#[tokio::test]
async fn an_interface_that_has_groups_of_two_calls_is_one_wearer() {
    let many: BTreeSet<SecurityGroupId> = (0..201).map(|number| sg(&format!("sg-{number}"))).collect();
    let eni = interfaces(&[interface("eni-1", "", "d", "sg-1")], "");
    let script = Script::default().then(200, eni.clone()).then(200, eni);
    let reading = script.aws().attached_interfaces(&vpc(), &many).await;
    assert_eq!((reading.found.len(), reading.gaps.len(), script.asked().len()), (1, 0, 2));
}

#[tokio::test]
async fn users_that_cannot_be_read_are_a_gap() {
    let odd = [
        interface("eni-1", "", "d", "x-1"),
        interface("x-1", "", "d", "sg-1"),
        interface("eni-2", &attachment("x-1", 0, 0), "d", "sg-1"),
        interface("eni-3", "", "d", "sg-1"),
    ];
    let script = Script::default().then(200, interfaces(&odd, "more")).then(403, ec2_error("UnauthorizedOperation"));
    let reading = script.aws().attached_interfaces(&vpc(), &groups(&["sg-1"])).await;
    assert_eq!(reading.found, [attached("eni-3", other("d"), "sg-1")]);
    let gaps: Vec<String> = reading.gaps.iter().map(reading_of).collect();
    assert_eq!(
        gaps,
        [
            "ec2:DescribeNetworkInterfaces on interfaces of vpc-1 that have sg-1 page 2",
            "ec2:DescribeNetworkInterfaces on eni-1",
            "ec2:DescribeNetworkInterfaces on x-1",
            "ec2:DescribeNetworkInterfaces on eni-2",
        ]
    );
    assert!(reading.gaps.iter().all(|gap| !gap.passing), "{:?}", reading.gaps);
}

/// A version of a launch template with this data.
fn version(data: &str) -> String {
    format!("<item><launchTemplateId>lt-1</launchTemplateId><versionNumber>1</versionNumber>{data}</item>")
}

fn data(of_instance: &[&str], of_interface: &[&str], names: &[&str]) -> String {
    let ids =
        |ids: &[&str], tag: &str| ids.iter().map(|id| format!("<{tag}>{id}</{tag}>")).collect::<Vec<_>>().concat();
    let (of_instance, names) = (ids(of_instance, "item"), ids(names, "item"));
    let of_interface = ids(of_interface, "groupId");
    version(&format!(
        "<launchTemplateData><securityGroupIdSet>{of_instance}</securityGroupIdSet><securityGroupSet>{names}</securityGroupSet><networkInterfaceSet><item><groupSet>{of_interface}</groupSet></item></networkInterfaceSet></launchTemplateData>"
    ))
}

fn versions(items: &[String], next: &str) -> String {
    let items = items.concat();
    format!(
        "<DescribeLaunchTemplateVersionsResponse><launchTemplateVersionSet>{items}</launchTemplateVersionSet><nextToken>{next}</nextToken></DescribeLaunchTemplateVersionsResponse>"
    )
}

fn named(ids: &[&str]) -> String {
    let item =
        |id: &&str| format!("<item><groupId>{id}</groupId><vpcId>vpc-1</vpcId><groupName>rds-ec2-1</groupName></item>");
    let items: String = ids.iter().map(item).collect();
    format!(
        "<DescribeSecurityGroupsResponse><securityGroupInfo>{items}</securityGroupInfo></DescribeSecurityGroupsResponse>"
    )
}

#[tokio::test]
async fn launch_templates_name_groups_by_id_by_interface_and_by_name() {
    let first = versions(&[data(&["sg-1"], &[], &[]), version("<launchTemplateData/>")], "more");
    let second = versions(&[data(&[], &["sg-2", "sg-3"], &["rds-ec2-1", "web*"])], "");
    let script = Script::default().then(200, first).then(200, second).then(200, named(&["sg-4", "sg-5"]));
    let reading = script.aws().launch_template_groups().await;
    assert_eq!(reading.gaps, []);
    let found: BTreeSet<SecurityGroupId> = reading.found.into_iter().collect();
    assert_eq!(found, groups(&["sg-1", "sg-2", "sg-3", "sg-4", "sg-5"]));
    let asked = script.asked();
    let versions = "Action=DescribeLaunchTemplateVersions&Version=2016-11-15&LaunchTemplateVersion.1=%24Default&LaunchTemplateVersion.2=%24Latest&MaxResults=200&IncludeManagedResources=true";
    assert_eq!(without(&asked[0], "&NextToken="), versions);
    assert_eq!(without(&asked[1], "&NextToken=more"), versions);
    let by_name = "Action=DescribeSecurityGroups&Version=2016-11-15&MaxResults=1000&Filter.1.Name=group-name&Filter.1.Value.1=rds-ec2-1&Filter.1.Value.2=web%5C*";
    assert_eq!((without(&asked[2], "&NextToken="), asked.len()), (by_name.to_owned(), 3));
}

#[tokio::test]
async fn no_templates_name_no_group_and_no_name_is_looked_up() {
    let script = Script::default().then(200, versions(&[], ""));
    let reading = script.aws().launch_template_groups().await;
    assert_eq!((reading, script.asked().len()), (Reading::default(), 1));
}

#[tokio::test]
async fn templates_that_cannot_be_read_are_a_gap_and_those_of_nonsense_are_not() {
    let script = Script::default()
        .then(200, versions(&[version(""), data(&["resolve me", "sg-1"], &["x-2"], &["a"])], "more"))
        .then(503, ec2_error("RequestLimitExceeded"))
        .then(403, ec2_error("UnauthorizedOperation"));
    let reading = script.aws().launch_template_groups().await;
    assert_eq!(reading.found, [sg("sg-1")]);
    let gaps: Vec<(String, bool)> = reading.gaps.iter().map(|gap| (gap.reading(), gap.passing)).collect();
    assert_eq!(
        gaps.iter().map(|(reading, passing)| (reading.as_str(), *passing)).collect::<Vec<_>>(),
        [
            ("ec2:DescribeLaunchTemplateVersions on default and latest versions of launch templates page 2", true),
            ("ec2:DescribeLaunchTemplateVersions on lt-1", false),
            ("ec2:DescribeSecurityGroups on groups named in launch templates, a page 1", false),
        ]
    );
}

#[tokio::test]
async fn owned_groups_are_found_by_the_arn_that_their_tag_holds() {
    let script = Script::default().then(200, named(&["sg-1"]));
    let reading = script.aws().groups(Groups::OwnedFor(&[arn("cluster:a"), arn("db:b")].into())).await;
    assert_eq!((reading.found.len(), reading.gaps.len()), (1, 0));
    let expected = format!(
        "Action=DescribeSecurityGroups&Version=2016-11-15&MaxResults=1000&Filter.1.Name=tag:tagwire:managed-by&Filter.1.Value.1=tagwire&Filter.2.Name=tag:tagwire:data-store&Filter.2.Value.1={}&Filter.2.Value.2={}",
        arn("cluster:a"),
        arn("db:b")
    );
    assert_eq!(without(&script.asked()[0], "&NextToken="), expected);
}

#[tokio::test]
async fn a_group_is_deleted_by_its_id_and_the_error_says_what_holds_it() {
    let answer = "<DeleteSecurityGroupResponse><return>true</return></DeleteSecurityGroupResponse>";
    let script = Script::default()
        .then(200, answer)
        .then(400, ec2_error("InvalidGroup.NotFound"))
        .then(400, ec2_error("DependencyViolation"))
        .then(400, ec2_error("InvalidGroup.InUse"))
        .then(400, ec2_error("CannotDelete"))
        .then(403, ec2_error("UnauthorizedOperation"))
        .then(503, ec2_error("RequestLimitExceeded"))
        .then(503, ec2_error("Unavailable"));
    let aws = script.aws();
    aws.delete_group(&owned()).await.unwrap();
    for kind in [
        ErrorKind::NotFound,
        ErrorKind::InUse,
        ErrorKind::InUse,
        ErrorKind::Rejected,
        ErrorKind::Denied,
        ErrorKind::Throttled,
        ErrorKind::EffectUnknown,
        ErrorKind::EffectUnknown,
    ] {
        let error = aws.delete_group(&owned()).await.unwrap_err();
        assert_eq!((error.kind, error.call), (kind, "ec2:DeleteSecurityGroup"), "{error}");
    }
    for asked in script.asked() {
        assert_eq!(asked, "Action=DeleteSecurityGroup&Version=2016-11-15&GroupId=sg-1");
    }
}

#[tokio::test]
async fn the_status_tag_is_written_and_taken_away_where_it_stands() {
    let script = Script::default()
        .then(200, "<CreateTagsResponse><return>true</return></CreateTagsResponse>")
        .then(200, "<DeleteTagsResponse><return>true</return></DeleteTagsResponse>")
        .then(200, "<AddTagsToResourceResponse/>")
        .then(200, "<RemoveTagsFromResourceResponse/>");
    let aws = script.aws();
    let text = Some("connected: orders-db");
    for of in [StatusOf::Instance(InstanceId::parse("i-1").unwrap()), StatusOf::Store(arn("db:a"))] {
        aws.set_status(&of, text).await.unwrap();
        aws.set_status(&of, None).await.unwrap();
    }
    let name = arn("db:a");
    assert_eq!(
        script.asked(),
        [
            "Action=CreateTags&Version=2016-11-15&ResourceId.1=i-1&Tag.1.Key=tagwire:status&Tag.1.Value=connected: orders-db".to_owned(),
            "Action=DeleteTags&Version=2016-11-15&ResourceId.1=i-1&Tag.1.Key=tagwire:status".to_owned(),
            format!("Action=AddTagsToResource&Version=2014-10-31&ResourceName={name}&Tags.Tag.1.Key=tagwire:status&Tags.Tag.1.Value=connected: orders-db"),
            format!("Action=RemoveTagsFromResource&Version=2014-10-31&ResourceName={name}&TagKeys.member.1=tagwire:status"),
        ]
    );
}

#[tokio::test]
async fn a_status_that_could_not_be_written_says_where_and_why() {
    let script = Script::default()
        .then(400, ec2_error("InvalidInstanceID.NotFound"))
        .then(400, ec2_error("TagLimitExceeded"))
        .then(404, rds_error("DBInstanceNotFound"))
        .then(400, rds_error("InvalidDBInstanceState"));
    let aws = script.aws();
    let instance = StatusOf::Instance(InstanceId::parse("i-1").unwrap());
    let store = StatusOf::Store(arn("db:a"));
    for (of, text, kind, call) in [
        (&instance, None, ErrorKind::NotFound, "ec2:DeleteTags"),
        (&instance, Some("s"), ErrorKind::Limit, "ec2:CreateTags"),
        (&store, None, ErrorKind::NotFound, "rds:RemoveTagsFromResource"),
        (&store, Some("s"), ErrorKind::NotReady, "rds:AddTagsToResource"),
        (&store, Some("s"), ErrorKind::EffectUnknown, "rds:AddTagsToResource"),
    ] {
        let error = aws.set_status(of, text).await.unwrap_err();
        assert_eq!((error.kind, error.call), (kind, call), "{error}");
    }
    let elsewhere = StoreArn::parse("arn:aws:rds:us-east-1:123456789012:db:a").unwrap();
    let error = aws.set_status(&StatusOf::Store(elsewhere), None).await.unwrap_err();
    assert_eq!((error.code.as_str(), script.asked().len()), ("other-region", 5));
}

fn lost(identities: &[(&str, &str)]) -> BTreeMap<StoreId, StoreArn> {
    identities.iter().map(|(id, name)| (StoreId::parse(*id).unwrap(), arn(name))).collect()
}

fn dbs(members: &[(&str, &str)], marker: &str) -> String {
    let member = |(name, id): &(&str, &str)| {
        let arn = arn(&format!("db:{name}"));
        format!(
            "<DBInstance><DBInstanceArn>{arn}</DBInstanceArn><DbiResourceId>{id}</DbiResourceId><Engine>mysql</Engine><DBInstanceStatus>renaming</DBInstanceStatus><DBSubnetGroup><VpcId>vpc-1</VpcId></DBSubnetGroup></DBInstance>"
        )
    };
    let members: String = members.iter().map(member).collect();
    format!(
        "<DescribeDBInstancesResponse><DescribeDBInstancesResult><Marker>{marker}</Marker><DBInstances>{members}</DBInstances></DescribeDBInstancesResult></DescribeDBInstancesResponse>"
    )
}

#[tokio::test]
async fn a_renamed_store_is_found_by_its_identity_under_its_new_arn() {
    let script = Script::default()
        .to("DescribeDBClusters", 200, clusters(&["new"]))
        .to("DescribeDBSubnetGroups", 200, SUBNET_GROUP)
        .to("DescribeDBInstances", 200, dbs(&[], "more"))
        .to("DescribeDBInstances", 200, dbs(&[("newer", "db-B")], ""));
    let which = lost(&[("cluster-new", "cluster:old"), ("db-A", "db:a"), ("db-B", "db:b")]);
    let reading = script.aws().stores_by_id(&which).await;
    assert_eq!(reading.gaps, []);
    let found: BTreeSet<String> =
        reading.found.iter().map(|store| format!("{} is {}", store.id, store.arn.name())).collect();
    assert_eq!(found, ["cluster-new is new".to_owned(), "db-B is newer".to_owned()].into());
    let asked = script.asked();
    let clusters = "Action=DescribeDBClusters&Version=2014-10-31&Filters.Filter.1.Name=db-cluster-resource-id&Filters.Filter.1.Values.Value.1=cluster-new&MaxRecords=100";
    let dbs = "Action=DescribeDBInstances&Version=2014-10-31&Filters.Filter.1.Name=dbi-resource-id&Filters.Filter.1.Values.Value.1=db-A&Filters.Filter.1.Values.Value.2=db-B&MaxRecords=100";
    for expected in [clusters.to_owned(), dbs.to_owned(), format!("{dbs}&Marker=more")] {
        assert!(asked.contains(&expected), "{expected} is not in {asked:#?}");
    }
    assert_eq!(asked.len(), 4, "{asked:#?}");
}

#[tokio::test]
async fn no_store_with_an_identity_is_a_complete_answer_without_one() {
    let script = Script::default().then(200, dbs(&[], ""));
    assert_eq!(script.aws().stores_by_id(&lost(&[("db-A", "db:a")])).await, Reading::default());
    assert_eq!(script.asked().len(), 1, "an identity cannot be asked for singly");
    assert_eq!(script.aws().stores_by_id(&BTreeMap::new()).await, Reading::default());
    assert_eq!(script.asked().len(), 1);
}

#[tokio::test]
async fn a_store_whose_page_is_missing_may_be_anywhere() {
    for (status, code, passing) in
        [(400, "Throttling", true), (403, "AccessDenied", false), (500, "InternalFailure", true)]
    {
        let script = Script::default().then(200, dbs(&[("b", "db-B")], "more")).then(status, rds_error(code));
        let reading = script.aws().stores_by_id(&lost(&[("db-A", "db:a"), ("db-B", "db:b")])).await;
        assert_eq!((reading.found.len(), reading.gaps.len()), (1, 1));
        assert_eq!(
            reading_of(&reading.gaps[0]),
            "rds:DescribeDBInstances on stores with the identity db-A and 1 more page 2"
        );
        assert_eq!(reading.gaps[0].passing, passing, "{code}");
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_understood_is_no_absence() {
    let odd = dbs(&[("b", "")], "").replace("<DbiResourceId></DbiResourceId>", "");
    let nameless = dbs(&[("c", "db-C")], "").replace(&arn("db:c").to_string(), "");
    let no_arn = dbs(&[("d", "db-D")], "").replace(&arn("db:d").to_string(), "arn:aws:s3:::bucket");
    for answer in [odd, nameless, no_arn] {
        let reading = Script::default().then(200, answer).aws().stores_by_id(&lost(&[("db-A", "db:a")])).await;
        assert_eq!((reading.found.len(), reading.gaps.len()), (0, 1));
    }
    let script = Script::default().then(200, clusters(&["a"])).then(403, rds_error("AccessDenied"));
    let reading = script.aws().stores_by_id(&lost(&[("cluster-a", "cluster:old")])).await;
    assert_eq!((reading.found.len(), reading.gaps.len()), (0, 1), "without its VPC nothing is known of a cluster");
}

#[tokio::test]
async fn identities_are_asked_for_as_many_at_once_as_a_page_takes() {
    let which: BTreeMap<StoreId, StoreArn> =
        (0..101).map(|number| (StoreId::parse(format!("db-{number}")).unwrap(), arn("db:a"))).collect();
    let script = Script::default().then(200, dbs(&[], "")).then(200, dbs(&[], ""));
    assert_eq!(script.aws().stores_by_id(&which).await, Reading::default());
    let asked = script.asked();
    assert!(asked[0].contains("Value.100=") && !asked[0].contains("Value.101="), "{asked:?}");
    assert!(asked[1].contains("Value.1=") && !asked[1].contains("Value.2="), "{asked:?}");
}

#[tokio::test]
async fn a_store_of_another_region_is_never_looked_for_here() {
    let elsewhere = StoreArn::parse("arn:aws:rds:us-east-1:123456789012:db:a").unwrap();
    let mut which = lost(&[("db-B", "db:b")]);
    which.insert(StoreId::parse("db-A").unwrap(), elsewhere);
    let script = Script::default().then(200, dbs(&[], ""));
    let reading = script.aws().stores_by_id(&which).await;
    assert_eq!((reading.found.len(), reading.gaps.len()), (0, 1));
    assert!(reading.gaps[0].message.contains("other-region") && !reading.gaps[0].passing, "{:?}", reading.gaps);
    assert!(!script.asked()[0].contains("db-A"), "{:?}", script.asked());
}
