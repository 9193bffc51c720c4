//! The `Name` tags of instances beside their ids, and in place of them in arguments.

use std::collections::BTreeMap;

use tagwire_core::{id::InstanceId, model::Instance, untrusted::Untrusted};

use crate::{
    error::{CommandResult, user_error},
    progress::waiting,
    session::Session,
};

/// The beginnings of lines that are commands to be copied, in which an id stands alone.
const COMMANDS: [&str; 3] = ["aws ", "sam ", "tagwire "];

/// The names of instances, for those who know them by these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct InstanceNames(BTreeMap<InstanceId, Untrusted>);

impl<'seen> FromIterator<&'seen Instance> for InstanceNames {
    fn from_iter<T: IntoIterator<Item = &'seen Instance>>(instances: T) -> Self {
        let named = instances.into_iter().filter_map(|it| Some((it.id.clone(), it.name.clone()?)));
        Self(named.collect())
    }
}

impl InstanceNames {
    /// An instance as people call it: its id, and its name if it has one.
    pub(crate) fn label(&self, id: &InstanceId) -> String {
        self.0.get(id).map_or_else(|| id.to_string(), |name| format!("{id} ({name})"))
    }

    /// A text of ours with the name of each instance after the first mention of its id in a line.
    pub(crate) fn label_in(&self, text: &str) -> String {
        let lines = text.split('\n').map(|line| {
            let is_command = COMMANDS.iter().any(|command| line.trim_start().starts_with(command));
            if is_command || self.0.is_empty() { line.to_owned() } else { self.label_in_line(line) }
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    fn label_in_line(&self, line: &str) -> String {
        let is_of_id = |symbol: char| symbol.is_ascii_alphanumeric() || matches!(symbol, '-' | '_' | '.' | '/' | ':');
        let (mut labelled, mut mentioned) = (String::with_capacity(line.len()), Vec::new());
        for piece in line.split_inclusive(|symbol| !is_of_id(symbol)) {
            let (word, rest) = match piece.char_indices().next_back() {
                Some((end, symbol)) if !is_of_id(symbol) => piece.split_at(end),
                _ => (piece, ""),
            };
            let core = word.trim_end_matches([':', '.']);
            let name = self.0.iter().find(|(id, _)| id.as_str() == core);
            labelled.push_str(core);
            if let Some((id, name)) = name.filter(|(id, _)| !mentioned.contains(id)) {
                labelled.extend([" (", &name.to_string(), ")"]);
                mentioned.push(id);
            }
            labelled.push_str(word.get(core.len()..).unwrap_or_default());
            labelled.push_str(rest);
        }
        labelled
    }

    /// The names by id, for programs.
    pub(crate) fn json(&self) -> serde_json::Value {
        self.0.iter().map(|(id, name)| (id.to_string(), serde_json::json!(name))).collect()
    }
}

/// An instance as a person calls it in an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum InstanceArgument {
    Id(InstanceId),
    /// The value of its `Name` tag.
    Name(String),
}

impl InstanceArgument {
    /// Whether it is this instance; one that is called by a name is none until it was looked up.
    pub(crate) fn is(&self, id: &InstanceId) -> bool {
        matches!(self, Self::Id(own) if own == id)
    }

    /// The id; by the name, the one instance that has it.
    ///
    /// # Errors
    /// When no instance has the name, or several have it, or that cannot be read.
    pub(crate) async fn id(&self, session: &Session) -> CommandResult<InstanceId> {
        let name = match self {
            Self::Id(id) => return Ok(id.clone()),
            Self::Name(name) => name,
        };
        let named = waiting("Looking for the instance", session.instances_named(name)).await?;
        only(name, &named, session.region())
    }
}

/// The only instance with a name.
fn only(name: &str, named: &[InstanceId], region: &str) -> CommandResult<InstanceId> {
    match named {
        [only] => Ok(only.clone()),
        [] => Err(user_error!("there is no instance {name} in {region}")
            .hint("an instance is called by its id, or by its Name tag if no other has the same")),
        several => {
            let ids: Vec<&str> = several.iter().map(InstanceId::as_str).collect();
            Err(user_error!("{} instances have the Name {name}", several.len())
                .hint(format!("say which: {}", ids.join(", "))))
        }
    }
}

impl std::str::FromStr for InstanceArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match InstanceId::parse(text) {
            Ok(id) => Ok(Self::Id(id)),
            // Whoever gives the id of another resource does not mean a name.
            Err(error) if ["i-", "vpc-", "sg-", "eni-", "arn:"].iter().any(|other| text.starts_with(other)) => {
                Err(error.to_string())
            }
            Err(_) if text.is_empty() => Err("it is empty".to_owned()),
            Err(_) => Ok(Self::Name(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use tagwire_world::World;

    use super::*;

    fn names() -> InstanceNames {
        let world = World::read("instance i-1 name=\"web-1\"\ninstance i-2\ninstance i-12 name=\"two lines\"").unwrap();
        world.seen.instances.found.iter().collect()
    }

    #[test]
    fn an_instance_is_followed_by_its_name_where_it_is_mentioned_first_in_a_line_and_never_in_a_command() {
        for (text, labelled) in [
            ("i-1 and db/orders: connected", "i-1 (web-1) and db/orders: connected"),
            ("i-1: will be connected", "i-1 (web-1): will be connected"),
            ("attach sg-1 to eni-1 of i-1: i-1 shares it", "attach sg-1 to eni-1 of i-1 (web-1): i-1 shares it"),
            ("i-2 and i-12.\ni-12", "i-2 and i-12 (two lines).\ni-12 (two lines)"),
            ("  aws ec2 create-tags --resources i-1", "  aws ec2 create-tags --resources i-1"),
            ("tagwire explain i-1 db/orders", "tagwire explain i-1 db/orders"),
            ("eni-1, (i-1) db/i-1 i-13", "eni-1, (i-1 (web-1)) db/i-1 i-13"),
            ("", ""),
        ] {
            assert_eq!(names().label_in(text), labelled);
        }
        assert_eq!(names().label(&InstanceId::parse("i-1").unwrap()), "i-1 (web-1)");
        assert_eq!(names().json(), serde_json::json!({ "i-1": "web-1", "i-12": "two lines" }));
    }

    #[test]
    fn a_name_that_would_forge_a_line_stays_in_its_own() {
        let mut world = World::read("instance i-1").unwrap();
        world.seen.instances.found[0].name = Some("a\n2 changes are pending\u{1b}[0m".into());
        let names: InstanceNames = world.seen.instances.found.iter().collect();
        assert_eq!(names.label_in("i-1: waits"), "i-1 (a\\n2 changes are pending\\u{1b}[0m): waits");
    }

    #[test]
    fn an_argument_is_an_id_or_a_name_and_no_id_of_something_else() {
        let argument = |text: &str| text.parse::<InstanceArgument>();
        assert!(matches!(argument("i-0a1b2c3d"), Ok(InstanceArgument::Id(_))));
        assert_eq!(argument("web 1"), Ok(InstanceArgument::Name("web 1".to_owned())));
        for other in ["vpc-1", "sg-1", "eni-1", "arn:aws:rds:eu-central-1:123456789012:db:orders", ""] {
            assert!(argument(other).is_err(), "{other}");
        }
    }

    #[test]
    fn a_name_that_several_have_lists_them() {
        let ids = ["i-1", "i-2"].map(|id| InstanceId::parse(id).unwrap());
        let error = only("web", &ids, "eu-central-1").unwrap_err();
        assert_eq!(
            (error.to_string().as_str(), error.hints.as_slice()),
            ("2 instances have the Name web", ["say which: i-1, i-2".to_owned()].as_slice())
        );
        assert_eq!(only("web", &ids[..1], "eu-central-1").unwrap(), ids[0]);
        assert_eq!(
            only("web", &[], "eu-central-1").unwrap_err().to_string(),
            "there is no instance web in eu-central-1"
        );
    }
}
