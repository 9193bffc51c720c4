//! The main job, end to end: the stack is deployed from `template.yaml` into a local AWS, an Aurora
//! cluster and two instances appear, and what EC2 and RDS say afterwards is read back and judged.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tagwire_acceptance::{
    Connection, Launched, Site, Store, connection, foreign_rules, interface_groups, is_write, owned_groups,
    store_groups,
};
use tagwire_local_aws::{LeaseOptions, LocalAws};

/// How long the stack may take to act. It takes about a second; a loaded machine takes longer.
const PATIENCE: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_millis(50);

pub(crate) async fn run() -> ExitCode {
    say("Building the functions and starting a local AWS (the first time takes minutes) ...");
    let aws = match Box::pin(LocalAws::lease_with(LeaseOptions::default().parameter("SweepMinutes", "60"))).await {
        Ok(aws) => aws,
        Err(error) => {
            eprintln!("demo: failed: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    match Box::pin(show(&aws)).await {
        Ok(connections) => {
            say(&format!("demo: ok, {connections} connections verified"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            aws.keep_logs();
            eprintln!(
                "demo: failed: {error:#}\nThe logs of the servers and functions are in {}",
                aws.log_dir().display()
            );
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "the demo is read by a person")]
fn say(line: &str) {
    println!("{line}");
}

async fn show(aws: &LocalAws) -> Result<usize> {
    let functions = aws.stack().resources().values().filter(|resource| resource.kind == "AWS::Lambda::Function");
    say(&format!("Deployed template.yaml: {} functions.", functions.count()));
    let site = Site::create(aws, 1).await?;
    let foreign = foreign_rules(aws).await?;
    let store = site.aurora("orders", "orders").await?;
    aws.settle().await?;
    ensure!(owned_groups(aws).await?.is_empty(), "a pair was made although no instance needs one");
    say(&format!("Made {} with its default group, and the Aurora PostgreSQL cluster \"orders\",", site.vpc));
    say("tagged tagwire:connect=orders.");

    aws.forget_calls();
    let launched_at = Instant::now();
    let tagged = site.launch(Some("orders")).await?;
    let untagged = site.launch(None).await?;
    say(&format!("Launched {} with the same tag and {} without.", tagged.id, untagged.id));

    let (found, took) = wait_for(aws, &tagged, &store, launched_at).await?;
    aws.settle().await?;
    let first_calls = calls(aws);
    let reason = why_left_alone(aws, &untagged).await?;
    verify(aws, &site, &store, &tagged, &untagged, &foreign).await?;

    say("");
    table(&[
        ["instance", "data store", "instance side", "store side", "port", "from launch"],
        [
            &tagged.id,
            "cluster orders",
            &found.instance_side,
            &found.store_side,
            &found.port.to_string(),
            &format!("{:.1} s", took.as_secs_f64()),
        ],
        [&untagged.id, "-", "-", "-", "-", "left alone"],
    ]);
    say("");
    say(&format!("{} was left alone: {reason}.", untagged.id));
    let total: usize = first_calls.values().sum();
    say(&format!("AWS calls for the two launches: {total}"));
    for (call, count) in &first_calls {
        say(&format!("  {count:>3}  {call}"));
    }
    say("The default group and its rules are untouched.");

    again(aws, &site).await?;
    say("A sweep over the whole VPC changed nothing.");
    Ok(1)
}

async fn wait_for(
    aws: &LocalAws,
    instance: &Launched,
    store: &Store,
    since: Instant,
) -> Result<(Connection, Duration)> {
    loop {
        if let Some(found) = connection(aws, instance, store).await? {
            return Ok((found, since.elapsed()));
        }
        if since.elapsed() > PATIENCE {
            let on_instance = interface_groups(aws, &instance.interface).await?;
            let on_store = store_groups(aws, store).await?;
            bail!(
                "{} does not reach {} after {PATIENCE:?}: the instance wears {on_instance:?}, the cluster {on_store:?}",
                instance.id,
                store.arn
            );
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// What the instance's own function logged about it.
async fn why_left_alone(aws: &LocalAws, instance: &Launched) -> Result<String> {
    let records = aws.records().await?;
    let line = records
        .iter()
        .find(|line| line["record"] == "outcome" && line["about"] == instance.id.as_str())
        .with_context(|| format!("no function logged an outcome about {}", instance.id))?;
    let text = |key: &str| line.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    ensure!(text("code") == "not-opted-in", "{} was not left alone for want of a tag: {line}", instance.id);
    Ok(format!("{} ({})", text("message"), text("code")))
}

/// The calls that the functions made, by function and action.
fn calls(aws: &LocalAws) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for call in aws.calls() {
        *counts.entry(format!("{}:{}", call.service, call.action)).or_insert(0) += 1;
    }
    counts
}

/// Everything that must be so, read back with clients of the demo's own.
async fn verify(
    aws: &LocalAws,
    site: &Site<'_>,
    store: &Store,
    tagged: &Launched,
    untagged: &Launched,
    foreign: &BTreeMap<String, BTreeSet<String>>,
) -> Result<()> {
    ensure!(foreign_rules(aws).await? == *foreign, "the rules of a group that is not tagwire's were changed");
    let owned = owned_groups(aws).await?;
    let expected: BTreeSet<String> = ["ec2-rds-1", "rds-ec2-1"].map(str::to_owned).into();
    ensure!(owned == expected, "tagwire owns the groups {owned:?}, not {expected:?}");
    let on_tagged = interface_groups(aws, &tagged.interface).await?;
    ensure!(
        on_tagged.len() == 2 && on_tagged.contains(&site.default_group),
        "{} wears {on_tagged:?}, not the default group and one more",
        tagged.id
    );
    let on_store = store_groups(aws, store).await?;
    ensure!(
        on_store.len() == 2 && on_store.contains(&site.default_group),
        "the cluster wears {on_store:?}, not the default group and one more"
    );
    let on_untagged = interface_groups(aws, &untagged.interface).await?;
    ensure!(on_untagged == [site.default_group.clone()].into(), "{} wears {on_untagged:?}", untagged.id);
    ensure!(connection(aws, untagged, store).await?.is_none(), "{} reaches the cluster", untagged.id);
    Ok(())
}

/// A sweep that finds nothing to do.
async fn again(aws: &LocalAws, site: &Site<'_>) -> Result<()> {
    aws.forget_calls();
    let swept = aws.invoke("SweepFunction", &serde_json::json!({})).await?;
    let vpcs = swept.get("vpcs").and_then(Value::as_array);
    ensure!(
        vpcs.is_some_and(|vpcs| vpcs.contains(&Value::from(site.vpc.as_str()))),
        "the sweep passed {} over: {swept}",
        site.vpc
    );
    aws.settle().await?;
    let writes: Vec<String> = aws.calls().into_iter().filter(is_write).map(|call| call.action).collect();
    ensure!(writes.is_empty(), "a sweep after everything was connected made the calls {writes:?}");
    Ok(())
}

fn table<const COLUMNS: usize>(rows: &[[&str; COLUMNS]]) {
    let widths: Vec<usize> = (0..COLUMNS)
        .map(|column| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.len()).max().unwrap_or_default())
        .collect();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        say(cells.join("  ").trim_end());
    }
}
