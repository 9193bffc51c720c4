//! Reading all there is, whatever its tags say: the stores, the groups, and the instances that could have
//! a connection. Surveying judges nothing, and the number of its calls does not grow with the number of
//! instances or stores but by pages.

use std::collections::BTreeSet;

use futures_util::{future::join_all, join};
use tagwire_core::{
    connections::Survey,
    id::{SecurityGroupId, VpcId},
    model::{DataStore, Instance},
    observation::Reading,
};

use crate::cloud::{Groups, Instances, Observe};

/// Surveys some VPCs, or all of the account and Region.
pub async fn survey<C: Observe>(cloud: &C, vpcs: Option<&BTreeSet<VpcId>>) -> Survey {
    let (mut stores, groups, opted_in) =
        join!(cloud.all_stores(), cloud.groups(Groups::All(vpcs)), opted_in(cloud, vpcs));
    let is_here = |vpc: &VpcId| vpcs.is_none_or(|vpcs| vpcs.contains(vpc));
    stores.found.retain(|store| store.vpc().is_none_or(is_here));
    let mut survey = Survey { stores, groups, instances: opted_in };
    let leading = survey.leading_groups();
    if !leading.is_empty() {
        survey.instances.extend(cloud.instances(Instances::WithGroupsAnywhere(&leading)).await);
    }
    let instances = &mut survey.instances.found;
    instances.retain(|instance| instance.interface.as_ref().is_none_or(|interface| is_here(&interface.vpc)));
    instances.sort_by(|one, other| one.id.cmp(&other.id));
    instances.dedup_by(|one, other| one.id == other.id);
    survey
}

/// Surveys some stores and whatever can have a connection with them: the groups that they have, the groups that
/// those let in, the instances that have one of these, and the groups of those.
pub async fn survey_of<C: Observe>(cloud: &C, stores: Vec<DataStore>) -> Survey {
    let on_stores: BTreeSet<SecurityGroupId> = stores.iter().flat_map(|store| store.groups.keys().cloned()).collect();
    let mut survey = Survey { stores: Reading::complete(stores), ..Survey::default() };
    add_groups(cloud, &mut survey, on_stores).await;
    // Only once they are read is it known which of them is a default group.
    let named = survey.leading_groups();
    add_groups(cloud, &mut survey, named).await;
    let leading = survey.leading_groups();
    if leading.is_empty() {
        return survey;
    }
    survey.instances = cloud.instances(Instances::WithGroupsAnywhere(&leading)).await;
    let interfaces = survey.instances.found.iter().filter_map(|instance| instance.interface.as_ref());
    let of_instances = interfaces.flat_map(|interface| interface.groups.iter().cloned()).collect();
    add_groups(cloud, &mut survey, of_instances).await;
    survey
}

/// Reads those groups that are not read yet.
async fn add_groups<C: Observe>(cloud: &C, survey: &mut Survey, mut groups: BTreeSet<SecurityGroupId>) {
    for known in &survey.groups.found {
        groups.remove(&known.id);
    }
    if !groups.is_empty() {
        survey.groups.extend(cloud.groups(Groups::Ids(&groups)).await);
    }
}

async fn opted_in<C: Observe>(cloud: &C, vpcs: Option<&BTreeSet<VpcId>>) -> Reading<Instance> {
    let Some(vpcs) = vpcs else { return cloud.instances(Instances::OptedInAnywhere).await };
    let mut all = Reading::default();
    for reading in join_all(vpcs.iter().map(|vpc| cloud.instances(Instances::OptedIn { vpc, names: None }))).await {
        all.extend(reading);
    }
    all
}
