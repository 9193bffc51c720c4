//! The main job, end to end: the stack is deployed from `template.yaml` into a local AWS, an application
//! with databases, a Redshift cluster and caches appears, and what AWS says afterwards is read back and judged.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tagwire_acceptance::{
    CONNECT, Connection, Foreign, Installation, Kind, Launched, Rules, Store, connection, foreign, interface_groups,
    is_write, owned_groups, rules_of, store_groups, ways_in,
};
use tagwire_local_aws::{LeaseOptions, LocalAws};

/// How long the stack may take to act. It takes a few seconds; a loaded machine takes longer.
const TIMEOUT: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Groups that an interface takes unless the quota was raised.
const INTERFACE_GROUPS: usize = 5;
/// Where the laptop is: an address of those that are kept for documents.
const LAPTOP: &str = "203.0.113.7/32";

pub(crate) async fn run(stay: bool) -> ExitCode {
    say("Building the functions and starting a local AWS (the first time takes minutes) ...");
    let options = LeaseOptions::default().parameter("SweepMinutes", "60").parameter("AllowCidr", "on");
    let aws = match Box::pin(LocalAws::lease_with(options)).await {
        Ok(aws) => aws,
        Err(error) => {
            eprintln!("demo: failed: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    match Box::pin(show(&aws)).await {
        Ok(Shown { connections, left_alone }) => {
            say(&format!("demo: ok, {connections} connections verified"));
            if stay { wait_for_the_end(&aws, &left_alone).await } else { ExitCode::SUCCESS }
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

/// An instance and the stores that its tag asks for.
struct Asking<'stores> {
    instance: Launched,
    stores: Vec<&'stores Store>,
}

/// What was shown.
struct Shown {
    connections: usize,
    /// The instance that asks for nothing.
    left_alone: Launched,
}

async fn show(aws: &LocalAws) -> Result<Shown> {
    let functions = aws.stack().resources().values().filter(|resource| resource.kind == "AWS::Lambda::Function");
    say(&format!("Deployed template.yaml: {} functions.", functions.count()));
    let installation = Installation::create(aws, 1).await?.separated().await?;
    let before = foreign(aws).await?;
    let redshift = installation.store(Kind::RedshiftCluster, "orders-warehouse", "orders").await?;
    let stores = [
        installation.aurora("orders", "orders").await?,
        installation.postgres("orders-archive", "orders").await?,
        redshift.clone(),
        installation.store(Kind::ReplicationGroup, "orders-valkey", "orders-cache").await?,
        installation.store(Kind::CacheCluster, "orders-memcached", "orders-cache").await?,
        installation.store(Kind::ServerlessCache, "orders-serverless", "orders-cache").await?,
    ];
    let (databases, caches) = stores.split_at(3);
    aws.settle().await?;
    ensure!(owned_groups(aws).await?.is_empty(), "a pair was made although no instance needs one");
    say(&format!("Made {} and in it, each with the group data only, which lets nobody in:", installation.vpc));
    say("  tagwire:connect=orders         an Aurora cluster, a PostgreSQL instance, a Redshift cluster");
    say("  tagwire:connect=orders-cache   a Valkey replication group, a Memcached cluster, a serverless cache");

    aws.forget_calls();
    let launched_at = Instant::now();
    let app = Asking { instance: installation.launch(Some("orders")).await?, stores: databases.iter().collect() };
    let web = Asking { instance: installation.launch(Some("orders-cache")).await?, stores: caches.iter().collect() };
    let all =
        Asking { instance: installation.launch(Some("orders orders-cache")).await?, stores: stores.iter().collect() };
    let untagged = installation.launch(None).await?;
    say("Launched four instances with the group app: one asks for orders, one for orders-cache, one for both, one for");
    say("nothing.");

    let mut rows =
        vec![["instance", "data store", "instance side", "store side", "port", "from launch"].map(str::to_owned)];
    let mut connected = 0;
    for asking in [&app, &web] {
        for store in &asking.stores {
            let (found, took) = wait_for(aws, &asking.instance, store, launched_at).await?;
            rows.push(row(&asking.instance, store, &found, Some(took)));
            connected += 1;
        }
    }
    aws.settle().await?;
    let calls = calls(aws);
    let (fits, refused) = what_fits(aws, &all).await?;
    connected += fits.len();
    rows.extend(fits.iter().map(|(store, found)| row(&all.instance, store, found, None)));
    rows.extend(refused.iter().map(|store| {
        let refusal = "interface-group-limit".to_owned();
        [all.instance.id.clone(), store.name.clone(), refusal, String::new(), String::new(), String::new()]
    }));
    let reason = why_left_alone(aws, &untagged).await?;
    let none = ["-", "-", "-", "-", "left alone"].map(str::to_owned);
    let [store, instance_side, store_side, port, took] = none;
    rows.push([untagged.id.clone(), store, instance_side, store_side, port, took]);
    verify(aws, &installation, &untagged, &stores, &before).await?;

    say("");
    table(&rows);
    say("");
    say(&format!(
        "An interface takes {INTERFACE_GROUPS} groups: of six stores, the third instance reaches {}.",
        fits.len()
    ));
    say(&format!("{} was left alone: {reason}.", untagged.id));
    let total: usize = calls.values().sum();
    say(&format!("AWS calls for the four launches: {total}"));
    for (call, count) in &calls {
        say(&format!("  {count:>3}  {call}"));
    }
    say("The groups app, data and default and their rules are untouched.");
    again(aws, &installation).await?;
    say("A sweep over the whole VPC changed nothing.");

    let group = let_laptop_in(aws, &redshift).await?;
    say(&format!(
        "Tagged the Redshift cluster tagwire:allow-cidr={LAPTOP}: the group {group} lets the laptop in, and nobody else."
    ));
    take_away(aws, &installation, &web, &before).await?;
    say(&format!("Took the tag off {}: it reaches no cache any more, and nothing else changed.", web.instance.id));
    again(aws, &installation).await?;
    say("Another sweep changed nothing.");

    let refused = refused.first().context("nothing was refused")?;
    look(aws, connected - web.stores.len(), &all.instance, refused).await?;
    Ok(Shown { connections: connected, left_alone: untagged })
}

/// The output of the command line for all of it.
async fn look(aws: &LocalAws, connected: usize, asking: &Launched, refused: &Store) -> Result<()> {
    say("");
    say("$ tagwire status");
    say(tagwire(aws, &["status"]).await?.trim_end());
    let listed = tagwire(aws, &["status", "--output", "json"]).await?;
    let listed: Value = serde_json::from_str(&listed).context("the list of connections is no JSON")?;
    let rows = listed.get("connections").and_then(Value::as_array).context("it lists no connections")?;
    let standing = rows.iter().filter(|row| row["state"] == "connected" && row["instance"].is_string()).count();
    ensure!(standing == connected, "{standing} connections are listed, not {connected}: {listed:#}");

    say("");
    say(&format!("$ tagwire explain {} {}", asking.id, refused.name));
    let explained = tagwire(aws, &["explain", &asking.id, &refused.arn]).await?;
    let mut lines = explained.lines().skip_while(|line| !line.starts_with("FAILS"));
    let why: Vec<&str> = lines.next().into_iter().chain(lines.take_while(|line| line.starts_with(' '))).collect();
    ensure!(why.iter().any(|line| line.contains("interface-group-limit")), "nothing says why:\n{explained}");
    say(&why.join("\n"));

    say("");
    let page = folder()?.join("tagwire-report.html");
    let path = page.to_str().context("the path of the report is no text")?;
    say(tagwire(aws, &["report", "--file", path]).await?.trim_end());
    Ok(())
}

/// Where the demo leaves what it makes.
fn folder() -> Result<PathBuf> {
    let target = std::env::current_exe()?;
    let target = target.ancestors().nth(2).context("the program lies in no target folder")?;
    let folder = target.join("demo");
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    Ok(folder)
}

/// Runs the command line with the functions' view of AWS. The lease has built it beside this program.
async fn tagwire(aws: &LocalAws, arguments: &[&str]) -> Result<String> {
    let program = std::env::current_exe()?.with_file_name("tagwire");
    let mut command = tokio::process::Command::new(&program);
    let ran = command.args(arguments).env_clear().envs(aws.function_environment()).output().await;
    let ran = ran.with_context(|| format!("starting {}", program.display()))?;
    let message = String::from_utf8_lossy(&ran.stderr);
    ensure!(ran.status.success(), "tagwire {arguments:?} ended with {}: {message}", ran.status);
    Ok(String::from_utf8_lossy(&ran.stdout).into_owned())
}

/// Keeps the local AWS for whoever wants to try the command line on it.
async fn wait_for_the_end(aws: &LocalAws, left_alone: &Launched) -> ExitCode {
    let variables = aws.function_environment();
    let lines: Vec<String> = variables.iter().map(|(name, value)| format!("export {name}='{value}'")).collect();
    let written = folder().and_then(|folder| {
        let path = folder.join("environment");
        std::fs::write(&path, lines.join("\n") + "\n").with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    });
    let path = match written {
        Ok(path) => path,
        Err(error) => {
            eprintln!("demo: failed: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    say(&format!("\nThe local AWS stays until Ctrl-C. In another shell:\n\n  source {}", path.display()));
    say("  cargo run -p tagwire-cli -- status\n");
    say("A tag that changes acts by itself, as on AWS:\n");
    say(&format!("  aws ec2 create-tags --resources {} --tags Key={CONNECT},Value=orders\n", left_alone.id));
    match tokio::signal::ctrl_c().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: cannot wait for Ctrl-C: {error}");
            ExitCode::FAILURE
        }
    }
}

fn row(instance: &Launched, store: &Store, found: &Connection, took: Option<Duration>) -> [String; 6] {
    let took = took.map_or_else(String::new, |took| format!("{:.1} s", took.as_secs_f64()));
    let (instance_side, store_side) = (found.instance_side.clone(), found.store_side.clone());
    [instance.id.clone(), store.name.clone(), instance_side, store_side, found.port.to_string(), took]
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
        if since.elapsed() > TIMEOUT {
            let on_instance = interface_groups(aws, &instance.interface).await?;
            bail!("{} does not reach {} after {TIMEOUT:?}: it has {on_instance:?}", instance.id, store.arn);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The stores that an instance reaches, as many as its interface has room for, and those that it was
/// refused for want of room.
async fn what_fits<'stores>(
    aws: &LocalAws,
    asking: &Asking<'stores>,
) -> Result<(Vec<(&'stores Store, Connection)>, Vec<&'stores Store>)> {
    let (mut fits, mut refused) = (Vec::new(), Vec::new());
    for store in &asking.stores {
        match connection(aws, &asking.instance, store).await? {
            Some(found) => fits.push((*store, found)),
            None => refused.push(*store),
        }
    }
    let attached = interface_groups(aws, &asking.instance.interface).await?;
    ensure!(attached.len() == INTERFACE_GROUPS, "{} has {attached:?}", asking.instance.id);
    ensure!(fits.len() == INTERFACE_GROUPS - 1, "{} reaches {} stores", asking.instance.id, fits.len());
    let records = aws.records().await?;
    for store in &refused {
        let message = records.iter().any(|line| {
            line["record"] == "decision"
                && line["instance"] == asking.instance.id.as_str()
                && line["store"] == store.arn.as_str()
                && line["code"] == "interface-group-limit"
        });
        ensure!(message, "nobody says why {} does not reach {}", asking.instance.id, store.arn);
    }
    Ok((fits, refused))
}

/// What the instance's own function logged about it.
async fn why_left_alone(aws: &LocalAws, instance: &Launched) -> Result<String> {
    let records = aws.records().await?;
    let line = records
        .iter()
        .find(|line| line["record"] == "outcome" && line["subject"] == instance.id.as_str())
        .with_context(|| format!("no function logged an outcome about {}", instance.id))?;
    let text = |key: &str| line.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    ensure!(text("code") == "not-opted-in", "{} was not left alone for want of a tag: {line}", instance.id);
    Ok(format!("{} ({})", text("message"), text("code")))
}

/// The calls that the functions made, by service and action.
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
    installation: &Installation<'_>,
    untagged: &Launched,
    stores: &[Store],
    before: &Foreign,
) -> Result<()> {
    unchanged(aws, before).await?;
    let owned = owned_groups(aws).await?;
    let sides = |store: &str, instance: &str| {
        (1..=3).map(|n| [format!("{store}-{n}"), format!("{instance}-{n}")]).collect::<Vec<_>>()
    };
    let mut expected: BTreeSet<String> = sides("elasticache-ec2", "ec2-elasticache").into_iter().flatten().collect();
    expected.extend(["rds-ec2-1", "ec2-rds-1", "rds-ec2-2", "ec2-rds-2"].map(str::to_owned));
    expected.extend(["redshift-ec2-1", "ec2-redshift-1"].map(str::to_owned));
    ensure!(owned == expected, "tagwire owns the groups {owned:?}, not {expected:?}");
    let on_untagged = interface_groups(aws, &untagged.interface).await?;
    ensure!(on_untagged == [installation.instance_group.clone()].into(), "{} has {on_untagged:?}", untagged.id);
    for store in stores {
        let ways = ways_in(aws, untagged, store).await?;
        ensure!(ways.is_empty(), "{} reaches {} by {ways:?}", untagged.id, store.arn);
    }
    Ok(())
}

async fn unchanged(aws: &LocalAws, before: &Foreign) -> Result<()> {
    let differences = before.differences(&foreign(aws).await?);
    ensure!(differences.is_empty(), "something that is not tagwire's was changed: {differences:?}");
    Ok(())
}

/// Tags a store for a client that is no instance; the name of the group that lets it in.
async fn let_laptop_in(aws: &LocalAws, store: &Store) -> Result<String> {
    aws.tag(&store.arn, "tagwire:allow-cidr", LAPTOP).await?;
    aws.settle().await?;
    let (first, last) = store.ports;
    let wanted: Rules = [format!("in tcp {first}..{last} {LAPTOP}")].into();
    for group in store_groups(aws, store).await? {
        if rules_of(aws, &group).await? == wanted {
            return name_of(aws, &group).await;
        }
    }
    bail!("no group of {} lets in {LAPTOP} alone", store.arn)
}

async fn name_of(aws: &LocalAws, group: &str) -> Result<String> {
    let found = aws.ec2().describe_security_groups().group_ids(group).send().await?;
    let name = found.security_groups().first().and_then(|group| group.group_name()).context("the group has no name")?;
    Ok(name.to_owned())
}

/// Takes an instance's tag off, as anybody does who knows nothing of tagwire, and waits until it reaches nothing any
/// more. That it reached each store before shows that the proof can fail.
async fn take_away(
    aws: &LocalAws,
    installation: &Installation<'_>,
    asking: &Asking<'_>,
    before: &Foreign,
) -> Result<()> {
    let instance = &asking.instance;
    for store in &asking.stores {
        ensure!(!ways_in(aws, instance, store).await?.is_empty(), "{} never reached {}", instance.id, store.arn);
    }
    aws.untag(&instance.arn(), CONNECT).await?;
    aws.settle().await?;
    for store in &asking.stores {
        let ways = ways_in(aws, instance, store).await?;
        ensure!(ways.is_empty(), "{} still reaches {} by {ways:?}", instance.id, store.arn);
    }
    let attached = interface_groups(aws, &instance.interface).await?;
    ensure!(attached == [installation.instance_group.clone()].into(), "{} still has {attached:?}", instance.id);
    unchanged(aws, before).await
}

/// A sweep that finds nothing to do.
async fn again(aws: &LocalAws, installation: &Installation<'_>) -> Result<()> {
    aws.forget_calls();
    let swept = aws.sweep().await?;
    let vpcs = swept.get("vpcs").and_then(Value::as_array);
    ensure!(
        vpcs.is_some_and(|vpcs| vpcs.contains(&Value::from(installation.vpc.as_str()))),
        "the sweep passed {} over: {swept}",
        installation.vpc
    );
    aws.settle().await?;
    let writes: Vec<String> = aws.calls().into_iter().filter(is_write).map(|call| call.action).collect();
    ensure!(writes.is_empty(), "a sweep with nothing to do made the calls {writes:?}");
    Ok(())
}

fn table<const COLUMNS: usize>(rows: &[[String; COLUMNS]]) {
    let widths: Vec<usize> = (0..COLUMNS)
        .map(|column| rows.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or_default())
        .collect();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        say(cells.join("  ").trim_end());
    }
}
