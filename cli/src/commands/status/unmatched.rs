//! The connect tags that connect nothing, which have no row in the table.

use std::collections::BTreeSet;

use tagwire_core::{
    finding::{Finding, Reason, Subject},
    id::VpcId,
    model::{DataStore, Instance},
    spelling::near,
    tag::{ConnectTag, ConnectionName},
};

use super::{Filter, Gathered, is_called};
use crate::{output::HEADING, output::painted};

/// A heading and one line for each of them that the filter takes.
pub(super) fn lines(gathered: &Gathered, filter: &Filter) -> Vec<String> {
    // Who asks for connections with some property does not ask for what is none.
    if !(filter.state.is_empty() && filter.service.is_empty()) {
        return Vec::new();
    }
    let findings = gathered.planned.iter().flat_map(|(seen, checked)| {
        let findings = checked.plan().findings.iter().filter(|finding| takes(filter, finding));
        findings.filter_map(|finding| line(gathered, &seen.vpc, finding))
    });
    let mut lines: Vec<String> = findings.collect();
    if !lines.is_empty() {
        lines.insert(0, painted(HEADING, "Tags that connect nothing:"));
    }
    // Unless everything was read, nothing is called absent.
    if gathered.gaps.is_empty() {
        let of_region = carried(gathered, |_| true);
        let unknown = filter.name.iter().filter(|name| !of_region.contains(*name));
        lines.extend(unknown.map(|name| {
            let meant = words(&near(name, &of_region));
            let meant = if meant.is_empty() { String::new() } else { format!("; did you mean {meant}?") };
            format!("Nobody carries the name {name}{meant}")
        }));
    }
    lines
}

fn words(names: &[&ConnectionName]) -> String {
    names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(" or ")
}

fn takes(filter: &Filter, Finding { subject, reason }: &Finding) -> bool {
    let is_about = |name: &ConnectionName| {
        matches!(reason, Reason::NoMatch { names } if names.contains(name))
            || matches!(reason, Reason::DifferentVpc { name: other, .. } if other == name)
    };
    if !filter.name.is_empty() && !filter.name.iter().any(is_about) {
        return false;
    }
    let (instances, stores) = (&filter.scope.instance, &filter.scope.store);
    match subject {
        Subject::Instance(id) => {
            stores.is_empty() && (instances.is_empty() || instances.iter().any(|instance| instance.is(id)))
        }
        Subject::Store(arn) => {
            instances.is_empty() && (stores.is_empty() || stores.iter().any(|called| is_called(arn, called)))
        }
        Subject::Group(_) | Subject::Vpc(_) => false,
    }
}

fn line(gathered: &Gathered, vpc: &VpcId, Finding { subject, reason }: &Finding) -> Option<String> {
    if !["no-match", "different-vpc", "invalid-tag"].contains(&reason.code()) {
        return None;
    }
    let subject_text = match subject {
        Subject::Store(arn) => arn.short(),
        Subject::Instance(_) | Subject::Group(_) | Subject::Vpc(_) => subject.to_string(),
    };
    let mut line = format!("  {subject_text}: {reason} ({})", reason.code());
    if let Reason::NoMatch { names } = reason {
        let others = other_side(gathered, vpc, subject);
        for name in names {
            let meant = words(&near(name, &others));
            if !meant.is_empty() {
                line = format!("{line}; did you mean {meant} instead of {name}?");
            }
        }
    }
    Some(line)
}

/// The names that the other side carries in a VPC: those of data stores for an instance, and the other way round. A name
/// of another VPC would connect nothing either.
fn other_side(gathered: &Gathered, vpc: &VpcId, subject: &Subject) -> BTreeSet<ConnectionName> {
    let of_instance = matches!(subject, Subject::Instance(_));
    carried(gathered, |carrier| match carrier {
        Carrier::Instance(instance) => {
            !of_instance && instance.interface.as_ref().is_some_and(|interface| interface.vpc == *vpc)
        }
        Carrier::Store(store) => of_instance && store.is_in(vpc),
    })
}

/// Whoever carries names.
enum Carrier<'survey> {
    Instance(&'survey Instance),
    Store(&'survey DataStore),
}

fn carried(gathered: &Gathered, takes: impl Fn(&Carrier<'_>) -> bool) -> BTreeSet<ConnectionName> {
    let survey = &gathered.survey;
    let instances = survey.instances.found.iter().map(Carrier::Instance);
    let carriers = instances.chain(survey.present_stores().map(Carrier::Store)).filter(|carrier| takes(carrier));
    let tags = carriers.map(|carrier| match carrier {
        Carrier::Instance(instance) => &instance.settings.connect,
        Carrier::Store(store) => &store.settings.connect,
    });
    tags.flat_map(ConnectTag::names).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::status::tests::gathered;

    fn plain(world: &str, filter: &Filter) -> Vec<String> {
        let lines = lines(&gathered(world), filter);
        lines.iter().map(|line| anstream::adapter::strip_str(line).to_string()).collect()
    }

    #[test]
    fn a_tag_that_matches_nothing_is_shown_with_what_may_be_meant() {
        let world = "instance i-1 connect=ordres\ninstance i-2 connect=orders\ndb orders connect=orders\ndb lonely connect=archive";
        let expected = [
            "Tags that connect nothing:",
            "  i-1: nothing on the other side shares the name ordres (no-match); did you mean orders instead of ordres?",
            "  db/lonely: nothing on the other side shares the name archive (no-match)",
        ];
        let mut shown = plain(world, &Filter::default());
        shown.sort_by_key(|line| expected.iter().position(|known| known == line));
        assert_eq!(shown, expected);
    }

    #[test]
    fn an_empty_tag_one_that_cannot_be_read_and_one_of_another_vpc_are_shown_as_well() {
        let world =
            "instance i-1 connect=\ninstance i-2 connect=a$b\ninstance i-3 connect=far\ndb far connect=far vpc=2";
        let shown = plain(world, &Filter::default()).join("\n");
        for code in ["i-1: its connect tag holds no names (no-match)", "(invalid-tag)", "(different-vpc)"] {
            assert!(shown.contains(code), "{shown}");
        }
    }

    #[test]
    fn a_name_of_another_vpc_is_not_what_was_meant() {
        let world = "instance i-1 connect=ordres\ndb far connect=orders vpc=2";
        let shown = plain(world, &Filter::default());
        assert!(shown.len() > 1 && !shown.join("\n").contains("did you mean"), "{shown:?}");
    }

    #[test]
    fn a_filter_for_a_name_shows_the_tags_that_hold_it_and_says_when_nobody_carries_it() {
        let world = "instance i-1 connect=ordres\ninstance i-2 connect=other\ndb orders connect=orders";
        let of_name = |name: &str| Filter { name: vec![ConnectionName::parse(name).unwrap()], ..Filter::default() };
        let shown = plain(world, &of_name("ordres"));
        assert!(
            shown.len() == 2 && shown[1].starts_with("  i-1: ") && shown[1].contains("did you mean orders"),
            "{shown:?}"
        );
        assert_eq!(plain(world, &of_name("othr")), ["Nobody carries the name othr; did you mean other?"]);
        assert_eq!(plain(world, &of_name("nothing")), ["Nobody carries the name nothing"]);
    }

    #[test]
    fn a_filter_for_connections_shows_no_tags_and_one_for_an_instance_only_its_own() {
        let world = "instance i-1 connect=a\ninstance i-2 connect=b";
        let of_state = Filter { state: vec![tagwire_core::connections::State::Drifted], ..Filter::default() };
        assert_eq!(plain(world, &of_state), [""; 0]);
        let mut of_instance = Filter::default();
        of_instance.scope.instance = vec!["i-2".parse().unwrap()];
        let shown = plain(world, &of_instance);
        assert!(shown.len() == 2 && shown[1].starts_with("  i-2: "), "{shown:?}");
    }
}
