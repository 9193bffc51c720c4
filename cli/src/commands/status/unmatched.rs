//! The connect tags that connect nothing, which have no row in the table.

use std::collections::BTreeSet;

use tagwire_core::{
    finding::{Finding, Reason, Subject},
    spelling::near,
    tag::ConnectionName,
};

use super::{Filter, Gathered, is_called};
use crate::{output::HEADING, output::painted};

/// A heading and one line for each of them that the filter takes.
pub(super) fn lines(gathered: &Gathered, filter: &Filter) -> Vec<String> {
    // Who asks for connections with some property does not ask for what is none.
    if !(filter.name.is_empty() && filter.state.is_empty() && filter.service.is_empty()) {
        return Vec::new();
    }
    let findings = gathered.planned.iter().flat_map(|(_, checked)| &checked.plan().findings);
    let findings = findings.filter(|finding| takes(filter, &finding.subject));
    let mut lines: Vec<String> = findings.filter_map(|finding| line(gathered, finding)).collect();
    if !lines.is_empty() {
        lines.insert(0, painted(HEADING, "Tags that connect nothing:"));
    }
    lines
}

fn takes(filter: &Filter, subject: &Subject) -> bool {
    let (instances, stores) = (&filter.scope.instance, &filter.scope.store);
    match subject {
        Subject::Instance(id) => stores.is_empty() && (instances.is_empty() || instances.contains(id)),
        Subject::Store(arn) => {
            instances.is_empty() && (stores.is_empty() || stores.iter().any(|called| is_called(arn, called)))
        }
        Subject::Group(_) | Subject::Vpc(_) => false,
    }
}

fn line(gathered: &Gathered, Finding { subject, reason }: &Finding) -> Option<String> {
    if !["no-match", "different-vpc", "invalid-tag"].contains(&reason.code()) {
        return None;
    }
    let subject_text = match subject {
        Subject::Store(arn) => arn.short(),
        Subject::Instance(_) | Subject::Group(_) | Subject::Vpc(_) => subject.to_string(),
    };
    let mut line = format!("  {subject_text}: {reason} ({})", reason.code());
    if let Reason::NoMatch { names } = reason {
        let others = other_side(gathered, subject);
        for name in names {
            let meant: Vec<&str> = near(name, &others).into_iter().map(ConnectionName::as_str).collect();
            if !meant.is_empty() {
                line = format!("{line}; did you mean {} instead of {name}?", meant.join(" or "));
            }
        }
    }
    Some(line)
}

/// The names that the other side carries: those of data stores for an instance, and the other way round.
fn other_side(gathered: &Gathered, subject: &Subject) -> BTreeSet<ConnectionName> {
    let survey = &gathered.survey;
    let instances = survey.instances.found.iter().flat_map(|instance| instance.settings.connect.names());
    let stores = survey.stores.found.iter().flat_map(|store| store.settings.connect.names());
    match subject {
        Subject::Instance(_) => stores.cloned().collect(),
        Subject::Store(_) | Subject::Group(_) | Subject::Vpc(_) => instances.cloned().collect(),
    }
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
    fn a_filter_for_connections_shows_no_tags_and_one_for_an_instance_only_its_own() {
        let world = "instance i-1 connect=a\ninstance i-2 connect=b";
        let of_state = Filter { state: vec![tagwire_core::connections::State::Drifted], ..Filter::default() };
        assert_eq!(plain(world, &of_state), [""; 0]);
        let mut of_instance = Filter::default();
        of_instance.scope.instance = vec![tagwire_core::id::InstanceId::parse("i-2").unwrap()];
        let shown = plain(world, &of_instance);
        assert!(shown.len() == 2 && shown[1].starts_with("  i-2: "), "{shown:?}");
    }
}
