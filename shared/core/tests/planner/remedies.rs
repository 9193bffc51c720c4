//! What an explanation says to change is what has to be changed: the commands are carried out on the world
//! of the test, and then the plan connects.

use tagwire_core::{
    explain::Explanation,
    id::{InstanceId, InterfaceId, SecurityGroupId},
    observation::StoreLookup,
    plan::Verdict,
    tag::{BLOCK_KEY, ConnectTag, DEFAULT_CONNECT_KEY, HOLD_KEY, TagSettings},
};
use tagwire_world::World;

use crate::{
    case::after,
    explain::{first, world},
};

/// The words of a command line, quotes taken away.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for symbol in line.chars() {
        match symbol {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(std::mem::take(&mut word)),
            other => word.push(other),
        }
    }
    words.push(word);
    words
}

fn option<'words>(words: &'words [String], name: &str) -> &'words str {
    let mut rest = words.iter().skip_while(|word| *word != name).skip(1);
    rest.next().unwrap_or_else(|| panic!("no {name} in {words:?}"))
}

fn settings<'world>(world: &'world mut World, service: &str, words: &[String]) -> &'world mut TagSettings {
    if service == "ec2" {
        let id = InstanceId::parse(option(words, "--resources")).unwrap();
        let found = world.seen.instances.found.iter_mut().find(|instance| instance.id == id);
        return &mut found.unwrap().settings;
    }
    let arn = option(words, "--resource-name");
    assert_eq!(arn.split(':').nth(2), Some(service), "the service of {arn}");
    let found = world.seen.stores.found.iter_mut().find_map(|lookup| match lookup {
        StoreLookup::Found(store) if store.arn.as_str() == arn => Some(&mut store.settings),
        StoreLookup::Found(_) | StoreLookup::NotFound(_) => None,
    });
    found.unwrap()
}

fn set(settings: &mut TagSettings, key: &str, value: Option<&str>) {
    match key {
        DEFAULT_CONNECT_KEY => settings.connect = ConnectTag::read(value),
        BLOCK_KEY => settings.blocked = value.is_some(),
        HOLD_KEY => settings.held = value.is_some(),
        other => panic!("the tag {other}"),
    }
}

/// Does what a line of a remedy says, if it is a command or a wait.
fn follow(world: &mut World, line: &str) {
    if line.starts_with("wait until tagwire has looked") {
        *world = after(world, 15).unwrap();
        return;
    }
    let words = words(line);
    match words.iter().take(3).map(String::as_str).collect::<Vec<_>>()[..] {
        ["aws", service, "create-tags" | "add-tags-to-resource"] => {
            let (key, value) = option(&words, "--tags").strip_prefix("Key=").unwrap().split_once(",Value=").unwrap();
            set(settings(world, service, &words), key, Some(value));
        }
        ["aws", "ec2", "delete-tags"] => {
            set(settings(world, "ec2", &words), option(&words, "--tags").strip_prefix("Key=").unwrap(), None);
        }
        ["aws", service, "delete-tags" | "remove-tags-from-resource"] => {
            set(settings(world, service, &words), option(&words, "--tag-keys"), None);
        }
        ["aws", "ec2", "modify-network-interface-attribute"] => {
            let id = InterfaceId::parse(option(&words, "--network-interface-id")).unwrap();
            let mut interfaces =
                world.seen.instances.found.iter_mut().filter_map(|instance| instance.interface.as_mut());
            let groups = words.iter().skip_while(|word| *word != "--groups").skip(1);
            interfaces.find(|interface| interface.id == id).unwrap().groups =
                groups.map(|group| SecurityGroupId::parse(group.as_str()).unwrap()).collect();
        }
        ["tagwire", "uninstall", "--cancel"] => {
            if let Ok(state) = &mut world.seen.state {
                state.uninstalling = None;
            }
        }
        ["aws", "service-quotas", "request-service-quota-increase"] => {}
        ["sam", "deploy", "--parameter-overrides"] => {
            let limit = option(&words, "--parameter-overrides").strip_prefix("InterfaceGroupLimit=").unwrap();
            world.policy.interface_group_limit = limit.parse().unwrap();
        }
        ["aws" | "sam" | "tagwire", ..] => panic!("no such command: {line}"),
        _ => {}
    }
}

fn followed(text: &str) -> (Explanation, Explanation) {
    let mut world = world(text);
    let before = first(&world);
    for line in &before.remedy {
        follow(&mut world, line);
    }
    (before, first(&world))
}

#[track_caller]
fn assert_fixed(text: &str) {
    let (before, after) = followed(text);
    let connects = |verdict: &Option<Verdict>| matches!(verdict, Some(Verdict::Connected(_) | Verdict::Connecting));
    assert!(before.first_failing().is_some(), "{before}");
    assert!(connects(&after.verdict), "{before}\nand then\n{after}");
}

#[test]
fn a_tag_that_is_missing_or_shares_no_name_is_set() {
    for (instance, store) in [
        ("", "connect=orders"),
        ("connect=orders", ""),
        ("", ""),
        ("connect=\"\"", "connect=\"\""),
        ("connect=billing", "connect=orders"),
        ("connect=\"a,b\"", "connect=orders"),
        ("connect=orders", "connect=\"a,b\""),
        ("connect=a,b,c,d,e,f,g,h,i,j", "connect=orders"),
        ("connect=orders", "connect=a,b,c,d,e,f,g,h,i,j"),
    ] {
        assert_fixed(&format!("instance i-1 {instance}\ndb orders {store}"));
    }
}

#[test]
fn stores_are_tagged_by_the_commands_of_their_own_services() {
    for kind in ["db", "cluster", "docdb", "neptune", "replicationgroup", "cache", "serverlesscache", "redshift"] {
        assert_fixed(&format!("instance i-1 connect=orders\n{kind} orders block"));
        assert_fixed(&format!("instance i-1 connect=orders\n{kind} orders connect=orders hold"));
    }
}

#[test]
fn what_is_blocked_or_on_hold_is_set_free() {
    assert_fixed("instance i-1 connect=orders\ndb orders connect=orders\nuninstalling ago=5");
    assert_fixed("instance i-1 connect=orders block\ndb orders connect=orders");
    assert_fixed("instance i-1 connect=orders hold\ndb orders connect=orders block hold");
    assert_fixed(
        "instance i-1 connect=orders groups=quarantine,web block\ndb orders connect=orders\nisolation quarantine",
    );
}

#[test]
fn a_quota_is_raised_and_the_installation_told() {
    assert_fixed("instance i-1 connect=orders groups=a,b,c,d,e\ndb orders connect=orders");
    let (before, _) = followed("instance i-1 connect=orders groups=a,b,c\ndb orders connect=orders\nlimit 16");
    assert_eq!(before.remedy, [] as [&str; 0]);
    let full = (0..16).map(|index| format!("g{index}")).collect::<Vec<_>>().join(",");
    let (before, _) =
        followed(&format!("instance i-1 connect=orders groups={full}\ndb orders connect=orders\nlimit 16"));
    assert_eq!(before.remedy.len(), 1, "no quota goes beyond 16: {before}");
}

#[test]
fn what_is_contested_is_taken_up_again_when_the_tag_was_seen_to_change() {
    for attached in ["i-1 ec2-rds-1", "orders rds-ec2-1"] {
        assert_fixed(&format!(
            "instance i-1 connect=orders\ndb orders connect=orders\npair orders 1 loose\nattached {attached} tag=orders contested"
        ));
    }
}

#[test]
fn what_is_being_taken_away_is_kept() {
    for text in [
        "instance i-1 connect=billing\ndb orders connect=orders\npair orders 1 attached-to=i-1",
        "instance i-1\ndb orders connect=orders\npair orders 1 attached-to=i-1\nmax 0",
        "instance i-1 connect=orders\ndb orders\npair orders 1 attached-to=i-1",
        "instance i-1 block\ndb orders block\npair orders 1 attached-to=i-1",
        "instance i-1 connect=orders\ndb orders connect=orders\npair orders 1 attached-to=i-1\nuninstalling ago=5",
    ] {
        assert_fixed(text);
    }
}
