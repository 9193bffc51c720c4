//! Reads everything that the doctor judges, in parallel. A failed reading is kept as a fact.

use futures_util::{StreamExt, future::join_all, stream};
use tagwire_aws::{
    SdkConfig, Stack, Stacks, count_groups, has_role, identity, platform, queue_depth, refusals, region_status,
    tag_policy, trails, vpc_quota,
};
use tagwire_core::{
    id::{StoreArn, VpcId},
    observation::{Gap, Reading, StoreLookup},
    state::VpcState,
};
use tagwire_engine::{
    cloud::{Groups, Instances, Observe, TaggedStore},
    observe::vpcs_of_interest,
};
use tokio::join;

use super::{
    account::can_continue,
    check::CommandTarget,
    facts::{CallerFacts, DEAD_LETTERS, Facts, Installed, QUEUES, Quotas, Read, SERVICE_ROLES},
    permissions::questions,
    quotas::{PER_INTERFACE, PER_REGION, RULES},
};
use crate::{
    error::{CommandError, CommandResult},
    installation::{Installation, Overrides},
    progress::waiting,
    session::{GlobalArgs, Session},
};

/// VPCs that are asked for at once.
const AT_ONCE: usize = 8;

/// Reads everything: `None` without a Region, and no facts without credentials or an answer.
///
/// # Errors
/// When the profile that was chosen is not there.
pub(super) async fn gather(global: &GlobalArgs) -> CommandResult<Option<(CallerFacts, Option<Facts>)>> {
    waiting("Looking at the account", Box::pin(read(global))).await
}

async fn read(global: &GlobalArgs) -> CommandResult<Option<(CallerFacts, Option<Facts>)>> {
    let config = global.config().await?;
    let Some(region) = config.region().map(|region| region.as_ref().to_owned()) else { return Ok(None) };
    let identity = identity(&config).await;
    let target = CommandTarget { region, profile: global.profile.clone(), identity: identity.clone().ok() };
    let caller = CallerFacts { target, identity };
    if !can_continue(&caller.identity) {
        return Ok(Some((caller, None)));
    }
    let facts = Box::pin(facts(global, config, &caller.target)).await;
    Ok(Some((caller, Some(facts))))
}

async fn facts(global: &GlobalArgs, config: SdkConfig, target: &CommandTarget) -> Facts {
    let requested_stack = global.installation.stack_name.clone();
    let stacks = Stacks::new(&config);
    let found = stacks.find(requested_stack.as_deref()).await;
    let deployed = found.as_ref().ok().and_then(Option::as_ref);
    let (installation, unknown_parameter) = match global.installation.resolve(deployed) {
        Ok(installation) => (installation, None),
        Err(error) => (assumed(&global.installation), Some(error.to_string())),
    };
    let session = Session::with_stack(config, deployed.cloned(), installation.clone());
    let config = &session.config;
    let account = Box::pin(account(config));
    let roles = join_all(SERVICE_ROLES.map(async |role| (role, has_role(config, role.role).await)));
    let probes = Box::pin(session.aws.probes(target.identity.as_ref()));
    let tagged = Box::pin(tagged(&session));
    let of_stack = Box::pin(of_stack(found, unknown_parameter, &stacks, &session, target));
    let ((region, platform, trails, tag_policy, quotas), service_roles, probes, tagged, stack) =
        join!(account, roles, probes, tagged, of_stack);
    let (stores, instances, groups) = tagged;
    Facts {
        now: session.now(),
        region,
        platform,
        trails,
        tag_policy,
        probes,
        quotas,
        service_roles,
        stores,
        instances,
        groups,
        requested_stack,
        stack,
        installation,
    }
}

/// The template's defaults, for a stack with parameters that are none of tagwire's.
fn assumed(overrides: &Overrides) -> Installation {
    let usual = || Installation {
        tag_key: tagwire_core::tag::DEFAULT_CONNECT_KEY.to_owned(),
        state_table: None,
        policy: tagwire_core::policy::Policy::default(),
        mode: None,
    };
    overrides.resolve(None).unwrap_or_else(|_| usual())
}

async fn account(
    config: &SdkConfig,
) -> (
    Read<Option<String>>,
    Read<tagwire_aws::Platform>,
    Read<Vec<tagwire_aws::Trail>>,
    Read<tagwire_aws::TagPolicy>,
    Quotas,
) {
    let (region, platform, trails, tag_policy, per_interface, rules, per_region, groups) = join!(
        region_status(config),
        platform(config),
        trails(config),
        tag_policy(config),
        vpc_quota(config, PER_INTERFACE),
        vpc_quota(config, RULES),
        vpc_quota(config, PER_REGION),
        count_groups(config),
    );
    (region, platform, trails, tag_policy, Quotas { per_interface, rules, per_region, groups })
}

type TaggedResources =
    (Reading<TaggedStore>, Reading<tagwire_core::model::Instance>, Reading<tagwire_core::group::SecurityGroup>);

/// Reads data stores and instances with the connect tag, and owned groups, with the engine's own retries.
async fn tagged(session: &Session) -> TaggedResources {
    let cloud = match session.cloud() {
        Ok(cloud) => cloud,
        Err(error) => return (unread(&error), unread(&error), unread(&error)),
    };
    join!(tagged_stores(&cloud), cloud.instances(Instances::OptedInAnywhere), cloud.groups(Groups::OwnedAnywhere))
}

/// The tagged stores without those that their services call members of another one, which carry copies of its tags.
// Fact 3.5
async fn tagged_stores(cloud: &impl Observe) -> Reading<TaggedStore> {
    let mut tagged = cloud.candidates().await;
    let read = cloud.stores(&tagged.found.iter().map(|store| store.arn.clone()).collect()).await;
    let is_member = |arn: &StoreArn| {
        read.found.iter().any(|lookup| match lookup {
            StoreLookup::Found(store) => store.arn == *arn && store.is_member(),
            StoreLookup::NotFound(_) => false,
        })
    };
    tagged.found.retain(|store| !is_member(&store.arn));
    tagged
}

/// A reading that was not begun.
fn unread<T>(error: &CommandError) -> Reading<T> {
    let gap = Gap::of("the clock", "", error.to_string());
    Reading { found: Vec::new(), gaps: vec![gap] }
}

async fn of_stack(
    found: Read<Option<Stack>>,
    unknown_parameter: Option<String>,
    stacks: &Stacks,
    session: &Session,
    target: &CommandTarget,
) -> Read<Option<Installed>> {
    let Some(stack) = found? else { return Ok(None) };
    let named = QUEUES.iter().chain(&DEAD_LETTERS).filter_map(|name| Some((*name, stack.outputs.get(*name)?)));
    let queues = join_all(named.map(async |(name, url)| (name, queue_depth(&session.config, url).await)));
    let (queues, (role, refusals), states) =
        join!(queues, Box::pin(permissions(&stack, stacks, session, target)), Box::pin(states(session)));
    Ok(Some(Installed { stack, unknown_parameter, role, refusals, queues, states }))
}

async fn permissions(
    stack: &Stack,
    stacks: &Stacks,
    session: &Session,
    target: &CommandTarget,
) -> (Read<Option<String>>, Option<Read<Vec<tagwire_aws::Refusal>>>) {
    let role = stacks.resource(&stack.name, "ConnectRole").await;
    let (Ok(Some(name)), Some(identity)) = (&role, &target.identity) else { return (role, None) };
    let arn = format!("arn:{}:iam::{}:role/{name}", target.partition(), identity.account);
    let asked = questions(&session.installation, stack, target);
    let refused = refusals(&session.config, &arn, &asked).await;
    (Ok(Some(arn)), Some(refused))
}

/// Reads the state of each VPC of interest.
async fn states(session: &Session) -> Reading<(VpcId, Read<VpcState>)> {
    let cloud = match session.cloud() {
        Ok(cloud) => cloud,
        Err(error) => return unread(&error),
    };
    let Reading { found, gaps } = vpcs_of_interest(&cloud).await;
    let states = stream::iter(found).map(async |vpc| {
        let state = cloud.vpc_state(&vpc, Some(&std::collections::BTreeSet::new())).await;
        (vpc, state)
    });
    Reading { found: states.buffered(AT_ONCE).collect().await, gaps }
}
