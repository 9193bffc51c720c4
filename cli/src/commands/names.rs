//! `tagwire names`: every connection name, and who carries it on either side.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::ExitCode,
};

use clap::Args;
use serde_json::{Value, json};
use tagwire_core::{
    connections::Survey,
    id::{InstanceId, VpcId},
    observation::Gap,
    spelling::near,
    tag::ConnectionName,
};

use super::plan::OutputFormat;
use crate::{
    error::{CommandResult, require_complete},
    help::CommandHelp,
    instance_names::InstanceNames,
    output::print,
    progress::waiting,
    regions,
    scope_args::VpcArgs,
    session::{GlobalArgs, Session},
    table::{Column, lay_out, terminal_width},
};

/// The version of the JSON document.
const JSON_VERSION: u32 = 1;
/// How many of those who carry a name are named in the table.
const SHOWN: usize = 3;

/// Shown below the options.
pub(crate) const HELP: CommandHelp = CommandHelp {
    examples: &[
        ("every name of the account and Region", "tagwire names"),
        ("of one VPC", "tagwire names --vpc vpc-0a1b2c3d"),
        (
            "names that no data store carries, for a program",
            "tagwire names -o json |\n  jq -r '.names[] | select(.stores == []) | .name'",
        ),
    ],
    notes: &["Only what is in one VPC can be connected, so a name has a line for each VPC. A name that one side \
        carries alone connects nothing; if another one is much like it, that one is shown."],
    exit: &[(0, "done"), (1, "an error, or something could not be read")],
};

#[derive(Args)]
#[command(after_help = HELP.short(), after_long_help = HELP.long())]
pub(crate) struct NamesArgs {
    #[command(flatten)]
    vpcs: VpcArgs,
    /// The format of the output.
    #[arg(long, short, value_enum, default_value_t = OutputFormat::Text)]
    output: OutputFormat,
    /// Look in every Region that is enabled for the account.
    #[arg(long, conflicts_with = "vpc")]
    all_regions: bool,
}

/// Who carries a name in a VPC, or in none.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Carriers {
    instances: BTreeSet<InstanceId>,
    stores: BTreeSet<String>,
}

/// A name in a VPC.
pub(super) type Key<'survey> = (&'survey ConnectionName, Option<&'survey VpcId>);

/// The carriers of each name, by VPC.
pub(super) type Names<'survey> = BTreeMap<Key<'survey>, Carriers>;

pub(crate) async fn run(global: &GlobalArgs, args: NamesArgs) -> CommandResult<ExitCode> {
    let look = async |session: &Session| look(session, &args.vpcs.vpc).await;
    let (read, error) = if args.all_regions {
        regions::split(regions::in_each(global, look).await?)
    } else {
        let session = Session::open(global).await?;
        let survey = look(&session).await?;
        (vec![(session, survey)], None)
    };
    let width = terminal_width();
    print(&match (args.output, read.as_slice()) {
        (OutputFormat::Text, [(_, survey)]) if !args.all_regions => {
            text(&carriers(survey), &labels_of(survey), survey.gaps().next().is_none(), width)
        }
        (OutputFormat::Text, all) => regions::text(all.iter().map(|(session, survey)| {
            let names = carriers(survey);
            (session, (!names.is_empty()).then(|| text(&names, &labels_of(survey), true, width)))
        })),
        (OutputFormat::Json, [(session, survey)]) if !args.all_regions => {
            format!("{:#}\n", document(session.region(), &carriers(survey), &labels_of(survey)))
        }
        (OutputFormat::Json, all) => {
            let documents =
                all.iter().map(|(session, survey)| document(session.region(), &carriers(survey), &labels_of(survey)));
            format!("{:#}\n", documents.collect::<Value>())
        }
    })?;
    let gaps: Vec<Gap> = read.iter().flat_map(|(_, survey)| survey.gaps().cloned()).collect();
    error.map_or_else(|| require_complete(&gaps, "the list of names"), Err)?;
    Ok(ExitCode::SUCCESS)
}

fn labels_of(survey: &Survey) -> InstanceNames {
    survey.instances.found.iter().collect()
}

/// Reads some VPCs, or all of a Region.
async fn look(session: &Session, chosen: &[VpcId]) -> CommandResult<Survey> {
    session.require_vpcs(chosen).await?;
    let vpcs: BTreeSet<VpcId> = chosen.iter().cloned().collect();
    let cloud = session.cloud()?;
    let looking = Box::pin(tagwire_engine::observe::survey(&cloud, (!vpcs.is_empty()).then_some(&vpcs)));
    Ok(waiting("Looking at data stores and instances", looking).await)
}

pub(super) fn carriers(survey: &Survey) -> Names<'_> {
    let mut names = Names::new();
    for instance in &survey.instances.found {
        let vpc = instance.interface.as_ref().map(|interface| &interface.vpc);
        for name in instance.settings.connect.names() {
            names.entry((name, vpc)).or_default().instances.insert(instance.id.clone());
        }
    }
    for store in &survey.stores.found {
        for name in store.settings.connect.names() {
            names.entry((name, store.vpc())).or_default().stores.insert(store.arn.short());
        }
    }
    names
}

/// The names that somebody may have meant who gave a name to one side alone: those much like it in the same VPC that
/// the other side carries.
fn meant<'names>(names: &'names Names<'_>, (name, vpc): Key<'_>, carriers: &Carriers) -> Vec<&'names ConnectionName> {
    let completes = |other: &Carriers| {
        carriers.stores.is_empty() && !other.stores.is_empty()
            || carriers.instances.is_empty() && !other.instances.is_empty()
    };
    let others = names.iter().filter(|((_, place), other)| *place == vpc && completes(other));
    near(name, others.map(|((other, _), _)| *other))
}

/// The first few, and how many there are besides.
fn few(all: impl ExactSizeIterator<Item = String>) -> String {
    let more = all.len().saturating_sub(SHOWN);
    let shown: Vec<String> = all.take(SHOWN).collect();
    match (shown.as_slice(), more) {
        ([], _) => "-".to_owned(),
        (shown, 0) => shown.join(" "),
        (shown, more) => format!("{} and {more} more", shown.join(" ")),
    }
}

fn note(names: &Names<'_>, key: Key<'_>, carriers: &Carriers) -> String {
    let missing = match (carriers.instances.is_empty(), carriers.stores.is_empty()) {
        (true, _) => "no instance carries it",
        (false, true) => "no data store carries it",
        (false, false) => return String::new(),
    };
    let meant: Vec<&str> = meant(names, key, carriers).into_iter().map(ConnectionName::as_str).collect();
    match meant.as_slice() {
        [] => missing.to_owned(),
        meant => format!("{missing}; did you mean {}?", meant.join(" or ")),
    }
}

pub(super) fn text(names: &Names<'_>, labels: &InstanceNames, complete: bool, width: Option<usize>) -> String {
    if names.is_empty() {
        // Unless everything was read, nothing is called absent.
        return if complete { "No connection name was found.\n".to_owned() } else { String::new() };
    }
    let column = |heading, cell: &dyn Fn(&Key<'_>, &Carriers) -> String| {
        Column::new(heading, names.iter().map(|(key, carriers)| cell(key, carriers)))
    };
    let columns = vec![
        column("NAME", &|(name, _), _| name.to_string()),
        column("VPC", &|(_, vpc), _| vpc.map_or_else(|| "-".to_owned(), ToString::to_string)).leaving(2),
        column("INSTANCES", &|_, carriers| few(carriers.instances.iter().map(|id| labels.label(id)))).leaving(0),
        column("STORES", &|_, carriers| few(carriers.stores.iter().cloned())).leaving(1),
        column("NOTE", &|key, carriers| note(names, *key, carriers)),
    ];
    lay_out(columns, width, true).text + "\n"
}

fn document(region: &str, names: &Names<'_>, labels: &InstanceNames) -> Value {
    let names: Vec<Value> = names
        .iter()
        .map(|(key, carriers)| {
            json!({
                "name": key.0,
                "vpc": key.1,
                "instances": carriers.instances,
                "stores": carriers.stores,
                "meant": if carriers.instances.is_empty() || carriers.stores.is_empty() { meant(names, *key, carriers) } else { Vec::new() },
            })
        })
        .collect();
    json!({ "version": JSON_VERSION, "region": region, "names": names, "instance_names": labels.json() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::status::tests::gathered;

    const WORLD: &str = "instance i-1 connect=orders,billing name=web
        instance i-2 connect=orders
        instance i-3 connect=orders
        instance i-4 connect=orders
        instance i-5 connect=ordres
        db orders connect=orders
        db books connect=biling
        db far connect=archive";

    #[test]
    fn every_name_has_a_line_with_both_sides_and_one_that_stands_alone_says_what_may_be_meant() {
        let survey = gathered(WORLD).survey;
        let labels: InstanceNames = survey.instances.found.iter().collect();
        let expected = "\
NAME     VPC    INSTANCES              STORES     NOTE
archive  vpc-1  -                      db/far     no instance carries it
biling   vpc-1  -                      db/books   no instance carries it; did you mean billing?
billing  vpc-1  i-1 (web)              -          no data store carries it; did you mean biling?
orders   vpc-1  i-1 (web) i-2 i-3 and 1 more  db/orders
ordres   vpc-1  i-5                    -          no data store carries it; did you mean orders?
";
        let normal = |text: &str| {
            text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>()
        };
        let shown = text(&carriers(&survey), &labels, true, None);
        assert_eq!(normal(&shown), normal(expected));
        let narrow = text(&carriers(&survey), &labels, true, Some(60));
        assert_eq!(narrow.lines().next(), Some("NAME     NOTE"), "{narrow}");
    }

    #[test]
    fn programs_read_all_carriers() {
        let survey = gathered(WORLD).survey;
        let labels: InstanceNames = survey.instances.found.iter().collect();
        let document = document("eu-central-1", &carriers(&survey), &labels);
        assert_eq!(document["instance_names"], json!({ "i-1": "web" }));
        let orders = &document["names"][3];
        assert_eq!((&orders["name"], &orders["instances"]), (&json!("orders"), &json!(["i-1", "i-2", "i-3", "i-4"])));
        assert_eq!((&document["names"][4]["stores"], &document["names"][4]["meant"]), (&json!([]), &json!(["orders"])));
    }

    #[test]
    fn nothing_is_called_absent_that_was_not_read() {
        assert_eq!(text(&Names::new(), &InstanceNames::default(), true, None), "No connection name was found.\n");
        assert_eq!(text(&Names::new(), &InstanceNames::default(), false, None), "");
    }
}
