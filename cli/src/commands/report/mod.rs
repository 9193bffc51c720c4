//! `tagwire report`: one page that holds everything, works from a file and reaches no network.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use clap::Args;
use serde_json::{Value, json};
use tagwire_core::{
    group::SecurityGroup,
    id::SecurityGroupId,
    model::{DataStore, Instance},
};

use super::{
    plan::json as plan_json,
    status::{Filter, Gathered, gather, json as status_json},
};
use crate::{
    error::{CommandResult, require_complete, user_error},
    output::print,
    scope_args::{ScopeArgs, VpcArgs},
    session::{GlobalArgs, Place, Session},
};

/// The version of the page's data.
const DATA_VERSION: u32 = 2;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Shown below the options.
const EXAMPLE: &str = "\
Examples:\n  \
tagwire report                                  # writes tagwire-report.html\n  \
tagwire report --vpc vpc-0a1b2c3d -f orders.html\n  \
tagwire report -f - > report.html\n\n\
The page needs no network and no server: open it from the file, or send it to somebody. It names instances, data \
stores, groups and rules of the account.";

#[derive(Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct ReportArgs {
    /// Where to write the page; - for standard output.
    #[arg(long, short, default_value = "tagwire-report.html", value_name = "PATH")]
    file: PathBuf,
    #[command(flatten)]
    vpcs: VpcArgs,
}

pub(crate) async fn run(global: &GlobalArgs, args: ReportArgs) -> CommandResult<ExitCode> {
    require_writable(&args.file)?;
    let session = Session::open(global).await?;
    let filter = Filter { scope: ScopeArgs { vpcs: args.vpcs, ..ScopeArgs::default() }, ..Filter::default() };
    let gathered = Box::pin(gather(&session, &filter)).await?;
    let page = page(&data(&gathered));
    if args.file == Path::new("-") {
        print(&page)?;
    } else {
        let path = &args.file;
        fs::write(path, page).with_context(|| format!("writing the report to {}", path.display()))?;
        print(&format!("Wrote {} connections to {}\n", gathered.connections.len(), path.display()))?;
    }
    require_complete(&gathered.gaps, "the report")?;
    Ok(ExitCode::SUCCESS)
}

/// Refuses a path that cannot be written to, before minutes are spent on what would be written there.
fn require_writable(path: &Path) -> CommandResult<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        return Err(
            user_error!("there is no folder {} for the report", folder.display()).hint("choose another path with -f")
        );
    }
    if path.is_dir() {
        return Err(user_error!("{} is a folder", path.display()).hint("name a file in it with -f"));
    }
    Ok(())
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
    json!({
        "version": DATA_VERSION,
        "tagwire": env!("CARGO_PKG_VERSION"),
        "account": gathered.account,
        "region": gathered.region,
        "generated_at": gathered.observed_at,
        "complete": gathered.gaps.is_empty(),
        "status": status_json(gathered),
        "instances": survey.instances.found.iter().map(instance).collect::<Vec<_>>(),
        "stores": survey.present_stores().map(store).collect::<Vec<_>>(),
        "groups": survey.groups.found.iter().filter(shown).map(group).collect::<Vec<_>>(),
        "plan": plan_json(&place, &gathered.planned),
        "gaps": gathered.gaps.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
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
