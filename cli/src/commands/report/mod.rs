//! `tagwire report`: one page that holds everything, works from a file and reaches no network.

mod codes;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use serde_json::{Value, json};
use tagwire_core::{
    group::SecurityGroup,
    id::SecurityGroupId,
    model::{DataStore, Instance},
    observation::Scope,
    work::RequestKind,
};

use super::{
    plan::json as plan_json,
    status::{Filter, Gathered, gather, json as status_json},
};
use crate::{
    error::{CommandResult, require_complete},
    help::CommandHelp,
    output::{count, print},
    private_file::PrivateFile,
    scope_args::{ScopeArgs, VpcArgs},
    session::{GlobalArgs, Place, Session},
};

/// The version of the page's data.
const DATA_VERSION: u32 = 2;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Shown below the options.
pub(crate) const HELP: CommandHelp = CommandHelp {
    examples: &[
        ("writes tagwire-report.html", "tagwire report"),
        ("of one VPC", "tagwire report --vpc vpc-0a1b2c3d -f orders.html"),
        ("to standard output", "tagwire report -f - > report.html"),
    ],
    notes: &[
        "The page needs no network and no server: open it from the file, or send it to somebody. It names instances, \
         data stores, groups and rules of the account, so only its owner may read the file at first.",
    ],
    exit: &[(0, "done"), (1, "an error, or something could not be read")],
};

#[derive(Args)]
#[command(after_help = HELP.short(), after_long_help = HELP.long())]
pub(crate) struct ReportArgs {
    /// Where to write the page; - for standard output.
    #[arg(long, short, default_value = "tagwire-report.html", value_name = "PATH")]
    file: PathBuf,
    #[command(flatten)]
    vpcs: VpcArgs,
}

pub(crate) async fn run(global: &GlobalArgs, args: ReportArgs) -> CommandResult<ExitCode> {
    let file = (args.file != Path::new("-")).then(|| PrivateFile::begin(&args.file)).transpose();
    let file = file.map_err(|error| error.hint("-f chooses another path, and -f - writes to standard output"))?;
    let session = Session::open(global).await?;
    let filter = Filter { scope: ScopeArgs { vpcs: args.vpcs, ..ScopeArgs::default() }, ..Filter::default() };
    let gathered = Box::pin(gather(&session, &filter)).await?;
    let page = page(&data(&gathered));
    match file {
        None => print(&page)?,
        Some(file) => {
            file.finish(&page)?;
            print(&format!("Wrote {} to {}\n", count(gathered.connections.len(), "connection"), args.file.display()))?;
        }
    }
    require_complete(&gathered.gaps, "the report")?;
    Ok(ExitCode::SUCCESS)
}

/// The page with its data in it. A name of somebody's choice must not end the element that it stands in,
/// so no sign that could begin a tag is left in the data.
fn page(data: &Value) -> String {
    let data = data.to_string().replace('<', "\\u003c");
    PAGE.replacen("{{style}}", STYLE, 1).replacen("{{script}}", SCRIPT, 1).replacen("{{data}}", &data, 1)
}

/// The data of the page.
fn data(gathered: &Gathered) -> Value {
    let survey = &gathered.survey;
    let place = Place { account: gathered.account.clone(), region: gathered.region.clone(), ..Place::default() };
    let used: BTreeSet<&SecurityGroupId> = gathered
        .connections
        .iter()
        .flat_map(|row| row.store_side.iter().chain(&row.instance_side))
        .map(|group| &group.id)
        .collect();
    let shown = |group: &&SecurityGroup| used.contains(&group.id) || group.ownership().ours().is_some();
    let status = status_json(gathered);
    let plan = plan_json(&place, RequestKind::Apply, gathered.planned.iter().map(|planned| (&Scope::Vpc, planned)));
    let findings = plan.pointer("/vpcs").into_iter().flat_map(rows).filter_map(|vpc| vpc.get("findings"));
    let coded = status.pointer("/connections").into_iter().chain(findings).flat_map(rows);
    let used_codes: BTreeSet<&str> = coded.filter_map(|row| row.get("code")?.as_str()).collect();
    json!({
        "version": DATA_VERSION,
        "tagwire": env!("CARGO_PKG_VERSION"),
        "account": gathered.account,
        "region": gathered.region,
        "generated_at": gathered.observed_at,
        "complete": gathered.gaps.is_empty(),
        "status": status,
        "instances": survey.instances.found.iter().map(instance).collect::<Vec<_>>(),
        "stores": survey.present_stores().map(store).collect::<Vec<_>>(),
        "groups": survey.groups.found.iter().filter(shown).map(group).collect::<Vec<_>>(),
        "plan": plan,
        "codes": codes::meanings(used_codes),
        "gaps": gathered.gaps.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

fn rows(list: &Value) -> &[Value] {
    list.as_array().map_or(&[], Vec::as_slice)
}

fn instance(instance: &Instance) -> Value {
    json!({
        "id": instance.id,
        "name": instance.name,
        "vpc": instance.interface.as_ref().map(|interface| &interface.vpc),
        "zone": instance.zone,
        "names": instance.settings.connect.names().collect::<Vec<_>>(),
    })
}

fn store(store: &DataStore) -> Value {
    json!({
        "arn": store.arn,
        "name": store.arn.short(),
        "service": store.service.row().title,
        "vpc": store.vpc(),
        "zones": store.zones,
        "state": store.state,
        "ports": store.ports.map(|ports| ports.to_string()),
        "names": store.settings.connect.names().collect::<Vec<_>>(),
    })
}

fn group(group: &SecurityGroup) -> Value {
    json!({
        "id": group.id,
        "name": group.name,
        "vpc": group.vpc,
        "owned": group.ownership().ours().is_some(),
        "rules": group.rules.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::status::tests::gathered;

    /// The data in the page, read as a browser does.
    fn embedded(page: &str) -> Value {
        let (_, rest) = page.split_once("<script type=\"application/json\" id=\"data\">").unwrap();
        serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap()
    }

    #[test]
    fn the_page_holds_everything_and_names_nothing_elsewhere() {
        let mut gathered = gathered(
            "instance i-1 connect=orders
             instance i-2 connect=orders,billing
             db orders connect=orders
             pair orders 1 attached-to=i-1
             group web",
        );
        gathered.survey.instances.found[0].name = Some("web-1".into());
        let data = data(&gathered);
        let meanings: Vec<&Value> = data["codes"].as_array().unwrap().iter().map(|of| &of["code"]).collect();
        assert_eq!(meanings, ["connecting", "no-match"], "what the page names is explained on it");
        let names: Vec<&Value> =
            data["instances"].as_array().unwrap().iter().map(|instance| &instance["name"]).collect();
        assert_eq!(names, [&json!("web-1"), &Value::Null]);
        let page = page(&data);
        assert_eq!(embedded(&page), data);
        assert!(!page.contains("{{"), "every place was filled");
        let (instances, stores) = (&data["instances"], &data["stores"]);
        assert_eq!((instances.as_array().unwrap().len(), stores[0]["name"].as_str()), (2, Some("db/orders")));
        assert_eq!(data["status"]["connections"].as_array().unwrap().len(), 2);
        let groups: Vec<&str> =
            data["groups"].as_array().unwrap().iter().filter_map(|of| of["name"].as_str()).collect();
        assert_eq!(groups, ["rds-ec2-1", "ec2-rds-1"], "groups of others that connect nothing are left out");
        for outside in ["src=\"http", "href=\"http", "url(http", "@import", "fetch("] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn a_name_that_would_end_its_element_does_not() {
        let mut hostile = gathered("db orders connect=orders");
        hostile.account = "</script><script>alert(1)</script>{{style}}".to_owned();
        let page = page(&data(&hostile));
        assert_eq!(page.matches("</script>").count(), PAGE.matches("</script>").count());
        assert_eq!(embedded(&page)["account"], hostile.account);
    }
}
