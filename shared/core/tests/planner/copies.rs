//! Copies: stores that carry a group which was made for another one. Each row of the table in the decision is a world
//! that is carried on until nothing is planned any more, and who reaches the copy on the way is judged by the oracle.

use std::{collections::BTreeSet, fmt::Write as _, fs, path::Path};

use jiff::SignedDuration;
use tagwire_core::{
    check::{Violation, check},
    id::StoreArn,
    model::DataStore,
    observation::StoreLookup,
    plan::{DetachReason, Plan, plan},
    tag::ConnectTag,
};
use tagwire_world::{Unread, World, reaches};

use crate::case::{case, holds, step};

/// The names that the copy's connect tag holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Tag {
    None,
    Same,
    Other,
}

/// What else is on the copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    Free,
    Blocked,
    Held,
}

/// What became of the store that the group was made for. When it is renamed, the copy takes its name over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Alive,
    Untagged,
    Deleted,
    Renamed,
}

/// Whether that happened before the copy was looked at, or when everything was settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum When {
    First,
    Later,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    tag: Tag,
    mark: Mark,
    source: Source,
    when: When,
}

/// A row of the table, and a test of the same name.
macro_rules! rows {
    ($($name:ident: $tag:ident $mark:ident $source:ident $when:ident;)+) => {
        $(
            #[test]
            fn $name() {
                Row { tag: Tag::$tag, mark: Mark::$mark, source: Source::$source, when: When::$when }.verify();
            }
        )+

        fn rows() -> Vec<Row> {
            vec![$(Row { tag: Tag::$tag, mark: Mark::$mark, source: Source::$source, when: When::$when }),+]
        }
    };
}

rows! {
    a_copy_untagged_whose_source_is_alive: None Free Alive First;
    a_copy_untagged_whose_source_was_untagged_before_the_copy_was_seen: None Free Untagged First;
    a_copy_untagged_whose_source_was_untagged_after_the_copy_was_seen: None Free Untagged Later;
    a_copy_untagged_whose_source_was_deleted_before_the_copy_was_seen: None Free Deleted First;
    a_copy_untagged_whose_source_was_deleted_after_the_copy_was_seen: None Free Deleted Later;
    a_copy_untagged_whose_source_was_renamed_before_the_copy_was_seen: None Free Renamed First;
    a_copy_untagged_whose_source_was_renamed_after_the_copy_was_seen: None Free Renamed Later;
    a_blocked_copy_untagged_whose_source_is_alive: None Blocked Alive First;
    a_blocked_copy_untagged_whose_source_was_untagged_before_the_copy_was_seen: None Blocked Untagged First;
    a_blocked_copy_untagged_whose_source_was_untagged_after_the_copy_was_seen: None Blocked Untagged Later;
    a_blocked_copy_untagged_whose_source_was_deleted_before_the_copy_was_seen: None Blocked Deleted First;
    a_blocked_copy_untagged_whose_source_was_deleted_after_the_copy_was_seen: None Blocked Deleted Later;
    a_blocked_copy_untagged_whose_source_was_renamed_before_the_copy_was_seen: None Blocked Renamed First;
    a_blocked_copy_untagged_whose_source_was_renamed_after_the_copy_was_seen: None Blocked Renamed Later;
    a_held_copy_untagged_whose_source_is_alive: None Held Alive First;
    a_held_copy_untagged_whose_source_was_untagged_before_the_copy_was_seen: None Held Untagged First;
    a_held_copy_untagged_whose_source_was_untagged_after_the_copy_was_seen: None Held Untagged Later;
    a_held_copy_untagged_whose_source_was_deleted_before_the_copy_was_seen: None Held Deleted First;
    a_held_copy_untagged_whose_source_was_deleted_after_the_copy_was_seen: None Held Deleted Later;
    a_held_copy_untagged_whose_source_was_renamed_before_the_copy_was_seen: None Held Renamed First;
    a_held_copy_untagged_whose_source_was_renamed_after_the_copy_was_seen: None Held Renamed Later;
    a_copy_for_the_same_name_whose_source_is_alive: Same Free Alive First;
    a_copy_for_the_same_name_whose_source_was_untagged_before_the_copy_was_seen: Same Free Untagged First;
    a_copy_for_the_same_name_whose_source_was_untagged_after_the_copy_was_seen: Same Free Untagged Later;
    a_copy_for_the_same_name_whose_source_was_deleted_before_the_copy_was_seen: Same Free Deleted First;
    a_copy_for_the_same_name_whose_source_was_deleted_after_the_copy_was_seen: Same Free Deleted Later;
    a_copy_for_the_same_name_whose_source_was_renamed_before_the_copy_was_seen: Same Free Renamed First;
    a_copy_for_the_same_name_whose_source_was_renamed_after_the_copy_was_seen: Same Free Renamed Later;
    a_blocked_copy_for_the_same_name_whose_source_is_alive: Same Blocked Alive First;
    a_blocked_copy_for_the_same_name_whose_source_was_untagged_before_the_copy_was_seen: Same Blocked Untagged First;
    a_blocked_copy_for_the_same_name_whose_source_was_untagged_after_the_copy_was_seen: Same Blocked Untagged Later;
    a_blocked_copy_for_the_same_name_whose_source_was_deleted_before_the_copy_was_seen: Same Blocked Deleted First;
    a_blocked_copy_for_the_same_name_whose_source_was_deleted_after_the_copy_was_seen: Same Blocked Deleted Later;
    a_blocked_copy_for_the_same_name_whose_source_was_renamed_before_the_copy_was_seen: Same Blocked Renamed First;
    a_blocked_copy_for_the_same_name_whose_source_was_renamed_after_the_copy_was_seen: Same Blocked Renamed Later;
    a_held_copy_for_the_same_name_whose_source_is_alive: Same Held Alive First;
    a_held_copy_for_the_same_name_whose_source_was_untagged_before_the_copy_was_seen: Same Held Untagged First;
    a_held_copy_for_the_same_name_whose_source_was_untagged_after_the_copy_was_seen: Same Held Untagged Later;
    a_held_copy_for_the_same_name_whose_source_was_deleted_before_the_copy_was_seen: Same Held Deleted First;
    a_held_copy_for_the_same_name_whose_source_was_deleted_after_the_copy_was_seen: Same Held Deleted Later;
    a_held_copy_for_the_same_name_whose_source_was_renamed_before_the_copy_was_seen: Same Held Renamed First;
    a_held_copy_for_the_same_name_whose_source_was_renamed_after_the_copy_was_seen: Same Held Renamed Later;
    a_copy_for_another_name_whose_source_is_alive: Other Free Alive First;
    a_copy_for_another_name_whose_source_was_untagged_before_the_copy_was_seen: Other Free Untagged First;
    a_copy_for_another_name_whose_source_was_untagged_after_the_copy_was_seen: Other Free Untagged Later;
    a_copy_for_another_name_whose_source_was_deleted_before_the_copy_was_seen: Other Free Deleted First;
    a_copy_for_another_name_whose_source_was_deleted_after_the_copy_was_seen: Other Free Deleted Later;
    a_copy_for_another_name_whose_source_was_renamed_before_the_copy_was_seen: Other Free Renamed First;
    a_copy_for_another_name_whose_source_was_renamed_after_the_copy_was_seen: Other Free Renamed Later;
    a_blocked_copy_for_another_name_whose_source_is_alive: Other Blocked Alive First;
    a_blocked_copy_for_another_name_whose_source_was_untagged_before_the_copy_was_seen: Other Blocked Untagged First;
    a_blocked_copy_for_another_name_whose_source_was_untagged_after_the_copy_was_seen: Other Blocked Untagged Later;
    a_blocked_copy_for_another_name_whose_source_was_deleted_before_the_copy_was_seen: Other Blocked Deleted First;
    a_blocked_copy_for_another_name_whose_source_was_deleted_after_the_copy_was_seen: Other Blocked Deleted Later;
    a_blocked_copy_for_another_name_whose_source_was_renamed_before_the_copy_was_seen: Other Blocked Renamed First;
    a_blocked_copy_for_another_name_whose_source_was_renamed_after_the_copy_was_seen: Other Blocked Renamed Later;
    a_held_copy_for_another_name_whose_source_is_alive: Other Held Alive First;
    a_held_copy_for_another_name_whose_source_was_untagged_before_the_copy_was_seen: Other Held Untagged First;
    a_held_copy_for_another_name_whose_source_was_untagged_after_the_copy_was_seen: Other Held Untagged Later;
    a_held_copy_for_another_name_whose_source_was_deleted_before_the_copy_was_seen: Other Held Deleted First;
    a_held_copy_for_another_name_whose_source_was_deleted_after_the_copy_was_seen: Other Held Deleted Later;
    a_held_copy_for_another_name_whose_source_was_renamed_before_the_copy_was_seen: Other Held Renamed First;
    a_held_copy_for_another_name_whose_source_was_renamed_after_the_copy_was_seen: Other Held Renamed Later;
}

/// The arn of the copy, which has the identity `db-copy`, whatever it is called.
fn copy(world: &World) -> &DataStore {
    world.seen.present_stores().into_values().find(|store| store.id.as_str() == "db-copy").unwrap()
}

/// The instances that reach the copy.
fn reaching(world: &World) -> BTreeSet<String> {
    let copy = copy(world).arn.clone();
    let instances = world.seen.instances.found.iter();
    let reach = instances.filter(|instance| reaches(&world.seen, &instance.id, &copy, Unread::LetsNothing));
    reach.map(|instance| instance.id.to_string()).collect()
}

/// The owned groups in the copy's list, its own and others'.
fn carried(world: &World, own: bool) -> usize {
    let copy = copy(world);
    let owned = world.seen.groups.found.iter().filter(|group| copy.has_group(&group.id));
    owned.filter_map(|group| group.ownership().ours()).filter(|owned| (owned.store == copy.id) == own).count()
}

/// The codes of what a plan says of the copy.
fn said(world: &World, plan: &Plan) -> BTreeSet<&'static str> {
    let subject = tagwire_core::finding::Subject::Store(copy(world).arn.clone());
    plan.findings.iter().filter(|finding| finding.subject == subject).map(|finding| finding.reason.code()).collect()
}

fn named(name: &str) -> StoreArn {
    StoreArn::parse(format!("arn:aws:rds:eu-central-1:123456789012:db:{name}")).unwrap()
}

/// What happens to the source.
fn happen(world: &mut World, source: Source) {
    let old = named("orders");
    match source {
        Source::Alive => {}
        Source::Untagged => {
            let mut stores = world.seen.stores.found.iter_mut();
            let orders = stores.find_map(|lookup| match lookup {
                StoreLookup::Found(store) if store.arn == old => Some(store),
                StoreLookup::Found(_) | StoreLookup::NotFound(_) => None,
            });
            orders.unwrap().settings.connect = ConnectTag::Absent;
        }
        Source::Deleted => {
            let id = world.seen.present_stores().get(&old).unwrap().id.clone();
            world.seen.stores.found.retain(|lookup| *lookup.arn() != old);
            world.seen.stores.found.push(StoreLookup::NotFound(old));
            world.seen.absent.insert(id);
        }
        Source::Renamed => {
            for lookup in &mut world.seen.stores.found {
                if let StoreLookup::Found(store) = lookup {
                    store.arn = named(if store.id.as_str() == "db-copy" { "orders" } else { "orders-old1" });
                }
            }
        }
    }
}

/// What was seen on the way to rest.
struct Course {
    worlds: Vec<World>,
    codes: BTreeSet<&'static str>,
    last: Plan,
}

impl Course {
    fn world(&self) -> &World {
        self.worlds.last().unwrap()
    }
}

/// Carries plans out, a sweep every quarter of an hour, until two in a row change nothing.
#[track_caller]
fn course(world: World) -> Course {
    let (mut worlds, mut codes, mut quiet) = (vec![world], BTreeSet::new(), 0);
    for _ in 0..20 {
        let world = worlds.last().unwrap();
        let (plan, after) = step(world, 15).unwrap_or_else(|broken| panic!("{broken}"));
        codes.extend(plan.findings.iter().map(|finding| finding.reason.code()));
        quiet = if plan.is_empty() { quiet + 1 } else { 0 };
        worlds.push(after);
        if quiet == 2 {
            return Course { worlds, codes, last: plan };
        }
    }
    panic!("it never comes to rest");
}

impl Row {
    fn world(self) -> World {
        let tag = match self.tag {
            Tag::None => "",
            Tag::Same => "connect=orders",
            Tag::Other => "connect=books",
        };
        let mark = match self.mark {
            Mark::Free => "",
            Mark::Blocked => "block",
            Mark::Held => "hold",
        };
        let text = format!(
            "instance i-1 connect=orders\ninstance i-2 connect=books\ndb orders connect=orders\npair orders 1 attached-to=i-1\ndb copy {tag} {mark} groups=default,rds-ec2-1"
        );
        World::read(&text).unwrap()
    }

    /// The instance that the copy's tags let in.
    fn entitled(self) -> Option<&'static str> {
        match (self.tag, self.mark) {
            (Tag::None, _) | (_, Mark::Blocked) => None,
            (Tag::Same, _) => Some("i-1"),
            (Tag::Other, _) => Some("i-2"),
        }
    }

    fn run(self) -> (World, Course, Course) {
        let mut world = self.world();
        if self.when == When::First {
            happen(&mut world, self.source);
        }
        let _plan = holds(&world).unwrap_or_else(|broken| panic!("{broken}"));
        let first = course(world.clone());
        let mut then = first.world().clone();
        if self.when == When::Later {
            then.seen.at += SignedDuration::from_mins(15);
            happen(&mut then, self.source);
        }
        let _plan = holds(&then).unwrap_or_else(|broken| panic!("{broken}"));
        let second = course(then);
        (world, first, second)
    }

    #[track_caller]
    fn verify(self) {
        let (before, first, second) = self.run();
        assert_eq!(
            reaching(&before),
            BTreeSet::from(["i-1".to_owned()]),
            "the copy is reached by whoever reaches its source"
        );
        let (end, last) = (second.world(), &second.last);
        if self.source == Source::Untagged {
            assert!((0..2).all(|instance| !reaches_source(end, instance)), "{self:?}: no tag lets anybody in: {end:?}");
        }
        assert!(plan(&end.seen, &end.policy).is_empty());
        let all = || first.worlds.iter().chain(&second.worlds);
        match self.mark {
            Mark::Blocked => {
                for world in all().skip(1) {
                    assert_eq!((reaching(world), carried(world, false)), (BTreeSet::new(), 0), "{self:?}: {world:?}");
                }
            }
            Mark::Held => {
                for world in all() {
                    assert_eq!(copy(world).groups, copy(&before).groups, "{self:?}: a hold keeps its list");
                }
            }
            Mark::Free => {}
        }
        if self.mark != Mark::Blocked
            && let Some(entitled) = self.entitled()
        {
            let mut has = false;
            for world in all() {
                let now = reaching(world).contains(entitled);
                assert!(now || !has, "{self:?}: {entitled} is cut off in {world:?}");
                has = now;
            }
            assert_eq!(has, self.mark == Mark::Free || self.tag == Tag::Same, "{self:?}");
        }
        if self.mark == Mark::Free && self.tag != Tag::None {
            let expected = self.entitled().map(str::to_owned).into_iter().collect();
            assert_eq!((reaching(end), carried(end, false), carried(end, true)), (expected, 0, 1), "{self:?}: {end:?}");
        }
        if self.mark == Mark::Free && self.tag == Tag::None {
            for world in all() {
                assert_eq!(copy(world).groups, copy(&before).groups, "{self:?}: its list is not ours to change");
            }
        }
        assert_eq!(
            said(end, last).contains("copied-group"),
            self.tag == Tag::None && self.mark != Mark::Blocked,
            "{self:?}: {last}"
        );
    }

    fn line(self) -> String {
        let (before, _, second) = self.run();
        let words = |of: BTreeSet<String>| {
            let words: Vec<_> = of.into_iter().collect();
            if words.is_empty() { "nobody".to_owned() } else { words.join(", ") }
        };
        let end = second.world();
        let codes: Vec<String> = said(end, &second.last).into_iter().map(|code| format!("`{code}`")).collect();
        let yes = |holds: bool| if holds { "yes" } else { "no" };
        let own = carried(end, true) > 0;
        format!(
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            match self.tag {
                Tag::None => "none",
                Tag::Same => "`orders`",
                Tag::Other => "`books`",
            },
            match self.mark {
                Mark::Free => "",
                Mark::Blocked => "blocked",
                Mark::Held => "held",
            },
            match (self.source, self.when) {
                (Source::Alive, _) => "alive",
                (Source::Untagged, When::First) => "untagged before",
                (Source::Untagged, When::Later) => "untagged after",
                (Source::Deleted, When::First) => "deleted before",
                (Source::Deleted, When::Later) => "deleted after",
                (Source::Renamed, When::First) => "renamed before",
                (Source::Renamed, When::Later) => "renamed after",
            },
            words(reaching(&before)),
            words(reaching(end)),
            yes(own),
            yes(carried(end, false) > 0),
            codes.join(", "),
        )
    }
}

#[test]
fn every_kind_of_copy_has_a_row() {
    let mut all = BTreeSet::new();
    for tag in [Tag::None, Tag::Same, Tag::Other] {
        for mark in [Mark::Free, Mark::Blocked, Mark::Held] {
            for source in [Source::Alive, Source::Untagged, Source::Deleted, Source::Renamed] {
                for when in [When::First, When::Later] {
                    if source != Source::Alive || when == When::First {
                        all.insert(Row { tag, mark, source, when });
                    }
                }
            }
        }
    }
    assert_eq!(rows().into_iter().collect::<BTreeSet<_>>(), all);
    assert_eq!(rows().len(), all.len());
}

const BEGIN: &str = "<!-- rows, written by a test -->\n";
const END: &str = "<!-- end of the rows -->\n";

#[test]
#[expect(clippy::disallowed_methods, reason = "the test writes its table only when it is asked to")]
fn the_tables_of_the_decision_on_copies_are_what_the_planner_does() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/decisions/012-copies.md");
    let text = fs::read_to_string(&path).unwrap();
    let (head, rest) = text.split_once(BEGIN).unwrap();
    let (written, tail) = rest.split_once(END).unwrap();
    let mut table = String::from(
        "| tag | mark | source | reached by, at first | reached by, in the end | own pair | source's group | said of it |\n|---|---|---|---|---|---|---|---|\n",
    );
    for row in rows() {
        let _ = writeln!(table, "{}", row.line());
    }
    if std::env::var("TAGWIRE_WRITE_TABLES").is_ok() {
        fs::write(&path, format!("{head}{BEGIN}{table}{END}{tail}")).unwrap();
        return;
    }
    assert!(written == table, "{} is out of date: run this test again with TAGWIRE_WRITE_TABLES=1", path.display());
}

/// What rings an alarm, of all that may be said of copies.
const ALARMING: [&str; 4] = ["foreign-attachment", "copied-group", "plan-rejected", "disconnects-held-back"];

#[test]
fn a_blue_green_switch_rings_no_alarm_and_interrupts_nobody() {
    // The green copy has the tags and the groups of the blue one.
    let mut world = Row { tag: Tag::Same, mark: Mark::Free, source: Source::Alive, when: When::First }.world();
    let mut told = BTreeSet::new();
    let mut served = Vec::new();
    for (source, deleted) in [(Source::Alive, false), (Source::Renamed, false), (Source::Alive, true)] {
        happen(&mut world, source);
        if deleted {
            let old = named("orders-old1");
            let id = world.seen.present_stores().get(&old).unwrap().id.clone();
            world.seen.stores.found.retain(|lookup| *lookup.arn() != old);
            world.seen.stores.found.push(StoreLookup::NotFound(old));
            world.seen.absent.insert(id);
        }
        let course = course(world);
        told.extend(course.codes.iter().copied());
        for at in &course.worlds {
            let instance = &at.seen.instances.found.first().unwrap().id;
            served.push(reaches(&at.seen, instance, &named("orders"), Unread::LetsNothing));
            assert!(reaching(at).contains("i-1"), "green is reached throughout");
        }
        world = course.worlds.last().unwrap().clone();
    }
    assert!(served.iter().all(|serves| *serves), "{served:?}");
    assert!(ALARMING.iter().all(|code| !told.contains(code)), "{told:?}");
    assert_eq!(world.seen.groups.found.len(), 2, "the pair of the green one alone is left");
}

#[test]
fn those_who_lose_a_copy_are_counted_and_named() {
    let text = "instance i-1 connect=orders\ninstance i-2 connect=orders\ndb orders connect=orders\npair orders 1 attached-to=i-1,i-2\ndb copy connect=books groups=default,rds-ec2-1";
    let found = case(text).changes("detach sg-rds-ec2-1 from db/copy: the group was made for another data store");
    assert_eq!(found.plan.stores.values().map(|change| change.cuts).sum::<usize>(), 2);
    assert_eq!(found.plan.decisions.len(), 4, "{}", found.plan);
    case(&format!("{text}\nmax 1")).changes_nothing().codes(&["no-match", "copied-group-leaving", "more-than-window"]);
    let waits = case(&format!("{text}\nmax 2\nremoved 1 ago=1")).changes_nothing();
    assert!(waits.plan.explanations().iter().any(|line| line.contains("disconnects-held-back")), "{}", waits.plan);
}

#[test]
fn a_blocked_copy_loses_the_group_of_its_source_at_once_whoever_is_looked_at_and_without_the_table() {
    let text = "instance i-1 connect=orders\ndb orders connect=orders\npair orders 1 attached-to=i-1\ndb copy connect=orders block groups=default,rds-ec2-1";
    for rest in ["", "scope copy", "scope i-1", "gap state", "max 0", "gap attached_interfaces"] {
        case(&format!("{text}\n{rest}")).changes("detach sg-rds-ec2-1 from db/copy: blocked");
    }
    case(&text.replace("groups=default,", "groups=")).changes_nothing();
}

#[test]
fn nobody_loses_a_copy_whose_own_pair_finds_no_room() {
    for text in [
        "instance i-1 connect=orders\ndb orders connect=orders\npair orders 1 attached-to=i-1\ndb copy connect=orders groups=default,a,b,c,rds-ec2-1",
        "limit 2\ninstance i-1 connect=orders\ndb orders connect=orders\npair orders 1 attached-to=i-1\ndb copy connect=orders groups=default,rds-ec2-1",
    ] {
        let found = case(text).changes_nothing();
        assert_eq!(reaching(&found.world), BTreeSet::from(["i-1".to_owned()]));
        assert!(
            found.plan.explanations().iter().any(|line| line.contains("limit") && line.contains("not connected")),
            "{}",
            found.plan
        );
    }
}

#[test]
fn the_group_of_a_source_for_cidr_clients_leaves_a_copy_when_its_own_is_there() {
    let source = "allow-cidr\ndb orders connect=orders allow-cidr=203.0.113.0/24\ngroup rds-cidr-1 tagged=orders/cidr ours=cidr on=orders rule=\"tcp 5432 from 203.0.113.0/24\"";
    let own = format!("{source}\ndb copy connect=orders allow-cidr=203.0.113.0/24 groups=default,rds-cidr-1");
    let first = case(&own);
    assert!(first.plan.changes().iter().all(|line| !line.starts_with("detach")), "{}", first.plan);
    let end = course(first.world);
    assert_eq!((carried(end.world(), true), carried(end.world(), false)), (1, 0), "{:?}", end.world());
    // Clients that are no instances do not depend on which instances were read.
    let its_own = "group rds-cidr-2 tagged=copy/cidr ours=cidr on=copy rule=\"tcp 5432 from 203.0.113.0/24\"";
    case(&format!("{own}\n{its_own}\ngap instances"))
        .changes("detach sg-rds-cidr-1 from db/copy: the group was made for another data store");
    case(&format!("{source}\ndb copy connect=orders groups=default,rds-cidr-1"))
        .changes("detach sg-rds-cidr-1 from db/copy: the data store asks for no clients but instances");
    case(&format!("{source}\ndb copy groups=default,rds-cidr-1"))
        .changes_nothing()
        .codes(&["copied-group", "no-match"]);
    case(&format!("{source}\ndb copy block groups=default,rds-cidr-1"))
        .changes("detach sg-rds-cidr-1 from db/copy: blocked");
}

#[test]
fn the_finding_about_a_copy_is_the_command_that_mends_it() {
    let hints = |text: &str| {
        let reasons: Vec<String> = case(text).plan.findings.iter().map(|finding| finding.reason.hint()).collect();
        reasons.join("\n")
    };
    let source = "instance i-1 connect=orders\ncluster orders connect=orders\npair orders 1 attached-to=i-1";
    let hint = hints(&format!("{source}\ncluster copy groups=default,web,rds-ec2-1"));
    assert!(
        hint.contains(
            "aws rds modify-db-cluster --db-cluster-identifier copy --vpc-security-group-ids sg-default sg-web"
        ),
        "{hint}"
    );
    let hint = hints(&format!("{source}\ncluster copy groups=rds-ec2-1"));
    assert!(hint.contains("give it another group in place of sg-rds-ec2-1"), "{hint}");
}

#[test]
fn nobody_loses_a_store_by_a_side_of_another_one_when_nothing_comes_in_place_of_it() {
    let text = |instance: &str, store: &str, of: &str, rest: &str| {
        format!(
            "instance i-1 {instance}\n{store}\ngroup rds-ec2-1 tagged=orders/store ours=store rule=\"tcp 5432 from sg-ec2-rds-1\" on=orders\ngroup ec2-rds-1 tagged=old/instance ours=instance rule=\"tcp 5432 to sg-rds-ec2-1\" attached-to=i-1\n{of}\n{rest}"
        )
    };
    for of in ["gone old", "db old connect=books", "db old"] {
        for (instance, store, rest, code) in [
            ("connect=orders", "db orders connect=\"orders,books\"", "", "invalid-tag"),
            ("connect=orders", "db orders connect=orders hold", "", "held"),
            ("", "db orders connect=books hold", "", "held"),
            ("connect=orders", "db orders connect=orders state=modifying", "", "not-available"),
            ("connect=orders", "db orders connect=orders groups=a,b,c,d", "", "store-group-limit"),
            ("connect=orders groups=a,b,web", "db orders connect=orders", "limit 3", "interface-group-limit"),
            (
                "connect=orders groups=a,b",
                "db orders connect=orders\ndb ahead connect=orders id=db-a",
                "limit 3",
                "interface-group-limit",
            ),
        ] {
            let found = case(&text(instance, store, of, rest));
            let seen = &found.world.seen;
            let lines = found.plan.explanations();
            assert!(lines.iter().any(|line| line.contains(&format!("({code})"))), "{}", found.plan);
            let end = course(found.world.clone());
            for world in &end.worlds {
                let reached = reaches(&world.seen, &seen.instances.found[0].id, &named("orders"), Unread::LetsNothing);
                assert!(reached, "{of}, {code}: {world:?}");
            }
        }
        let free = case(&text("connect=orders", "db orders connect=orders", of, ""));
        let end = course(free.world);
        assert!(end.worlds.iter().all(|world| {
            reaches(&world.seen, &world.seen.instances.found[0].id, &named("orders"), Unread::LetsNothing)
        }));
        assert!(
            end.world().seen.instances.found[0]
                .interface
                .iter()
                .all(|has| { has.groups.iter().all(|group| group.as_str() != "sg-ec2-rds-1") })
        );
    }
}

#[test]
fn two_sides_of_other_stores_do_not_both_go_because_of_each_other() {
    let found = case(
        "instance i-1 connect=orders
         db orders connect=orders hold
         group rds-ec2-1 tagged=orders/store ours=store rule=\"tcp 5432 from sg-ec2-rds-1\" on=orders
         group ec2-rds-1 tagged=old/instance ours=instance rule=\"tcp 5432 to sg-rds-ec2-1\" attached-to=i-1
         group rds-ec2-2 tagged=orders/store ours=store rule=\"tcp 5432 from sg-ec2-rds-2\" on=orders
         group ec2-rds-2 tagged=older/instance ours=instance rule=\"tcp 5432 to sg-rds-ec2-2\" attached-to=i-1
         gone old
         gone older",
    );
    found.changes_nothing();
}

/// Whether an instance reaches the store that is called `orders`.
fn reaches_source(world: &World, instance: usize) -> bool {
    let instance = &world.seen.instances.found.get(instance).unwrap().id;
    reaches(&world.seen, instance, &named("orders"), Unread::LetsNothing)
}

/// What keeps a copy from a pair of its own for as long as nobody changes something.
const NOTHING_IN_PLACE: [&str; 5] = [
    "db copy connect=orders hold groups=default,rds-ec2-1",
    "db copy hold groups=default,rds-ec2-1",
    "db copy connect=orders groups=default,a,b,c,rds-ec2-1",
    "db copy connect=orders serverless-v1 groups=default,rds-ec2-1",
    "db copy connect=orders global=world groups=default,rds-ec2-1",
];

#[test]
fn nobody_reaches_a_source_without_a_tag_for_as_long_as_its_copy_keeps_them_an_instance_side() {
    for copy in NOTHING_IN_PLACE {
        let text = format!("instance i-1 connect=orders\ndb orders\npair orders 1 attached-to=i-1\n{copy}");
        let found = case(&text).changes("detach sg-rds-ec2-1 from db/orders: the data store has no connect tag");
        assert_eq!(found.plan.stores.values().map(|change| change.cuts).sum::<usize>(), 1, "{copy}");
        assert!(reaches_source(&found.world, 0), "{copy}");
        // A look at the source alone closes it as well, or leaves it to a sweep.
        for scope in ["orders", "copy", "i-1"] {
            let _case = case(&format!("{text}\nscope {scope}"));
        }
        let end = course(found.world);
        assert!(end.worlds.iter().skip(1).all(|world| !reaches_source(world, 0)), "{copy}");
        assert!(end.worlds.iter().all(|world| reaching(world).contains("i-1")), "{copy}");
    }
}

#[test]
fn those_who_keep_an_instance_side_for_a_copy_are_counted_when_its_source_is_closed() {
    let text = "instance i-1 connect=orders\ninstance i-2 connect=orders\ndb orders\npair orders 1 attached-to=i-1,i-2\ndb copy connect=orders hold groups=default,rds-ec2-1";
    let closes = "detach sg-rds-ec2-1 from db/orders: the data store has no connect tag";
    let found = case(&format!("{text}\nmax 2")).changes(closes);
    assert_eq!(found.plan.stores.values().map(|change| change.cuts).sum::<usize>(), 2);
    let waits = case(&format!("{text}\nmax 2\nremoved 1 ago=1")).changes_nothing();
    let lines = waits.plan.explanations();
    assert!(lines.iter().any(|line| line.contains("(disconnects-held-back)")), "{}", waits.plan);
    let never = case(&format!("{text}\nmax 1")).changes_nothing();
    let lines = never.plan.explanations();
    assert!(lines.iter().any(|line| line.contains("(more-than-window)")), "{}", never.plan);
    // Who can be taken off alone goes first.
    let alone = text.replace("instance i-2 connect=orders", "instance i-2").replace("hold groups=", "groups=a,b,c,");
    let alone = case(&format!("{alone}\nmax 1\nwanted store-side orders ago=20"))
        .changes("detach sg-ec2-rds-1 from eni-2 of i-2: the data store has no connect tag (db/orders)");
    let end = course(alone.world);
    assert!(!reaches_source(end.world(), 0) && reaching(end.world()).contains("i-1"), "{:?}", end.world());
    assert!(!end.codes.contains("more-than-window"), "{:?}", end.codes);
    // Neither a hold on one of them nor a tag that cannot be read has a say about the source, whose own hold does.
    case(&text.replace("instance i-2 connect=orders", "instance i-2 connect=orders hold")).changes(closes);
    case(&text.replace("instance i-2 connect=orders", "instance i-2 connect=\"orders,x\"")).changes(closes);
    case(&text.replace("db orders\n", "db orders hold\n")).changes_nothing();
}

/// Two instances with the pair of `s0`, of which `i-0` shares no name with that for certain, and a copy.
fn beside_a_copy(instance: &str, copy: &str) -> String {
    format!(
        "instance i-0 {instance}\ninstance i-1 connect=a\ndb s0 connect=a\npair s0 1 attached-to=i-0,i-1\ndb s1 {copy} groups=default,rds-ec2-1"
    )
}

#[test]
fn what_is_certain_about_a_source_outweighs_what_is_uncertain_about_its_copy() {
    for (instance, copy, leaves) in [
        ("connect=b,c", "connect=\"a,b\"", Some("they share no name any more")),
        ("connect=b,c", "connect=x hold", Some("they share no name any more")),
        ("connect=b,c", "hold", Some("they share no name any more")),
        ("", "connect=\"a,b\"", Some("the instance has no connect tag")),
        ("", "connect=b hold", Some("the instance has no connect tag")),
        // The copy's own tag asks for it.
        ("connect=b,c", "connect=b hold", None),
        ("connect=b,c", "connect=b state=modifying", None),
        // About the source it is not certain either.
        ("connect=\"b,c\"", "connect=\"a,b\"", None),
        ("connect=\"b,c\"", "connect=b hold", None),
    ] {
        let text = beside_a_copy(instance, copy);
        let detach = leaves.map(|why| format!("detach sg-ec2-rds-1 from eni-0 of i-0: {why} (db/s0)"));
        let found = case(&text);
        let lines = found.plan.changes();
        assert_eq!(
            lines.iter().find(|line| line.starts_with("detach sg-ec2-rds-1 from eni-0")),
            detach.as_ref(),
            "{instance}, {copy}: {}",
            found.plan
        );
        // It is counted like any other.
        let waits = case(&format!("{text}\nmax 0")).plan;
        assert!(waits.interfaces.values().all(|change| change.detach.is_empty()), "{waits}");
        // A pair that does not lead to the source lets it reach nothing that is certain.
        let closed = text.replace("db s0 connect=a", "db s0 connect=a groups=default,web");
        let closed = closed.replace("pair s0 1 ", "pair s0 1 loose ");
        let _case = case(&closed);
    }
}

#[test]
fn the_checker_refuses_to_cut_somebody_from_a_copy_whose_own_tag_asks_for_them() {
    let uncertain = World::read(&beside_a_copy("connect=b,c", "connect=x hold")).unwrap();
    let made = plan(&uncertain.seen, &uncertain.policy);
    assert!(check(made.clone(), &uncertain.seen, &uncertain.policy).is_ok());
    let asked_for = World::read(&beside_a_copy("connect=b,c", "connect=b hold")).unwrap();
    let violations = check(made, &asked_for.seen, &asked_for.policy).unwrap_err().violations();
    let refused = |violation: &Violation| {
        matches!(violation, Violation::ReasonDoesNotHold { reason: DetachReason::NamesNotShared, .. })
    };
    assert!(violations.iter().any(refused), "{violations:?}");
}

#[test]
fn a_source_is_closed_one_by_one_when_its_copy_is_about_to_have_a_pair_of_its_own() {
    let text = |copy: &str| {
        format!(
            "instance i-1 connect=orders\ninstance i-2 connect=orders\ndb orders\npair orders 1 attached-to=i-1,i-2\ndb copy connect=orders {copy} groups=default,rds-ec2-1\nmax 1"
        )
    };
    for copy in ["", "state=modifying"] {
        let found = case(&text(copy));
        assert!(found.plan.changes().iter().all(|line| !line.starts_with("detach")), "{}", found.plan);
    }
    let end = course(case(&text("")).world);
    assert!(!end.codes.contains("more-than-window"), "{:?}", end.codes);
    assert!(!reaches_source(end.world(), 0) && !reaches_source(end.world(), 1));
    assert!(end.worlds.iter().all(|world| reaching(world).len() == 2));
    // One that somebody stopped is not about to have one.
    case(&text("state=stopped").replace("max 1", "max 2"))
        .plan
        .changes()
        .iter()
        .find(|line| line.starts_with("detach sg-rds-ec2-1 from db/orders"))
        .unwrap();
}
