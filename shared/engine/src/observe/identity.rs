//! The join of groups with their records in the state table.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use tagwire_core::{
    former::{bind_former, is_unbound_former},
    group::{Identities, SecurityGroup},
    id::VpcId,
    observation::{Gap, Reading},
};

use crate::cloud::{CloudError, Observe};

/// Gives each group of a VPC its record, and those of earlier versions the one that follows from what the state table
/// remembers. When something of that cannot be read, none gets one.
pub(super) async fn identify<C: Observe>(
    cloud: &C,
    vpc: &VpcId,
    identities: Result<Identities, CloudError>,
    groups: &mut [SecurityGroup],
) -> Result<Identities, Gap> {
    let identities = identities.map_err(Gap::from)?;
    for group in groups.iter_mut() {
        group.look_up(&identities);
    }
    if groups.iter().any(is_unbound_former) {
        match cloud.vpc_state(vpc, None).await {
            Ok(state) => bind_former(groups, &state.attached),
            Err(error) => {
                for group in groups {
                    group.record = None;
                }
                return Err(error.into());
            }
        }
    }
    Ok(identities)
}

/// The same for the groups of several VPCs, of which only those matter that have a group which looks like ours.
pub(super) async fn identify_all<C: Observe>(cloud: &C, mut groups: Reading<SecurityGroup>) -> Reading<SecurityGroup> {
    let marked = groups.found.iter().filter(|group| group.is_marked());
    let vpcs: BTreeSet<VpcId> = marked.map(|group| group.vpc.clone()).collect();
    let mut by_vpc: BTreeMap<VpcId, Vec<SecurityGroup>> = BTreeMap::new();
    for group in groups.found.extract_if(.., |group| vpcs.contains(&group.vpc)) {
        by_vpc.entry(group.vpc.clone()).or_default().push(group);
    }
    let identified = by_vpc.into_iter().map(async |(vpc, mut groups)| {
        let identities = cloud.identities(&vpc).await;
        let gap = identify(cloud, &vpc, identities, &mut groups).await.err();
        Reading { found: groups, gaps: gap.into_iter().collect() }
    });
    for reading in join_all(identified).await {
        groups.extend(reading);
    }
    groups.found.sort_by(|one, other| one.id.cmp(&other.id));
    groups
}
