//! What the services of data stores have in common: asking for many stores in such a way that each
//! is there, gone or in a gap, and the parts of their answers that have the same form.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    sync::{Mutex, PoisonError},
};

use aws_sdk_ec2::error::ProvideErrorMetadata;
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use tagwire_core::{
    group::GroupList,
    id::{SecurityGroupId, StoreArn, StoreId, VpcId, ZoneName},
    model::{DataStore, Membership},
    observation::{Gap, Reading, StoreLookup},
    rule::PortRange,
};
use tagwire_engine::cloud::ErrorKind;

use crate::{
    error::{Call, Odd, required},
    reading::{Page, at_once, pages, sample, together},
};

/// In what descriptions of different kinds of store differ here.
pub(crate) struct Shape<Raw> {
    pub(crate) call: &'static str,
    pub(crate) arn: fn(&Raw) -> Result<String, Odd>,
}

impl<Raw: Clone> Shape<Raw> {
    /// Reads a description's ARN.
    pub(crate) fn with_arn(&self) -> impl Fn(&Raw) -> Result<(StoreArn, Raw), Odd> {
        let arn = self.arn;
        move |raw| Ok((StoreArn::parse(arn(raw)?)?, raw.clone()))
    }
}

/// What the service said of some ARNs.
pub(crate) struct Answer<Raw> {
    pub(crate) there: Vec<(StoreArn, Raw)>,
    pub(crate) gone: Vec<StoreArn>,
    pub(crate) gaps: Vec<Gap>,
}

impl<Raw> Answer<Raw> {
    fn new(gaps: Vec<Gap>) -> Self {
        Self { there: Vec::new(), gone: Vec::new(), gaps }
    }

    fn extend(&mut self, other: Self) {
        self.there.extend(other.there);
        self.gone.extend(other.gone);
        self.gaps.extend(other.gaps);
    }

    pub(crate) fn merged(answers: Vec<Self>) -> Self {
        let mut all = Self::new(Vec::new());
        for answer in answers {
            all.extend(answer);
        }
        all
    }

    pub(crate) fn into_reading(self, stores: Reading<DataStore>) -> Reading<StoreLookup> {
        let there = stores.found.into_iter().map(|store| StoreLookup::Found(Box::new(store)));
        let found = there.chain(self.gone.into_iter().map(StoreLookup::NotFound)).collect();
        Reading { found, gaps: [self.gaps, stores.gaps].concat() }
    }
}

/// Asks for many stores in one list, and singly for each that the list leaves out: to be left out
/// of a list is no evidence that a store is gone. `list` is given the identifiers, which not every
/// service can filter by; what comes back counts only under the very ARN that was asked for.
pub(crate) async fn ask<Raw, E>(
    shape: &Shape<Raw>,
    which: &[&StoreArn],
    list: impl AsyncFn(Vec<String>, Option<String>) -> Result<Page<Raw>, SdkError<E, HttpResponse>>,
    single: impl AsyncFn(&str) -> Result<Option<Vec<Raw>>, SdkError<E, HttpResponse>>,
) -> Answer<Raw>
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let mut missing: BTreeMap<&str, &StoreArn> = which.iter().map(|arn| (arn.as_str(), *arn)).collect();
    let names: BTreeSet<String> = which.iter().map(|arn| arn.name().to_owned()).collect();
    let names: Vec<String> = names.into_iter().collect();
    let what = match which {
        [only] => only.to_string(),
        _ => format!("{} stores", which.len()),
    };
    let call = Call::reading(shape.call, what.as_str());
    let listed = pages(&call, &what, async |token| list(names.clone(), token).await).await;
    let list_is_whole = listed.is_complete();
    let mut answer = Answer::new(listed.gaps);
    for raw in listed.found {
        // What has no ARN, or one that was not asked for, is not taken for a store that was.
        if let Some(arn) = (shape.arn)(&raw).ok().and_then(|arn| missing.remove(arn.as_str())) {
            answer.there.push((arn.clone(), raw));
        }
    }
    if list_is_whole {
        let missing: Vec<&StoreArn> = missing.into_values().collect();
        answer.extend(ask_singly(shape, &missing, single).await);
    }
    // Otherwise the rest lies in the gap that stopped the list; asking for each would be a storm
    // of calls at a service that just refused one.
    answer
}

/// Asks which stores have some identities. `list` is given the identities, so many at a time; nothing
/// is asked singly, for an identity has no name that could be looked up.
pub(crate) async fn find<Raw: Clone, E>(
    shape: &Shape<Raw>,
    which: &[&StoreId],
    at_a_time: usize,
    list: impl AsyncFn(Vec<String>, Option<String>) -> Result<Page<Raw>, SdkError<E, HttpResponse>>,
) -> Reading<(StoreArn, Raw)>
where
    E: ProvideErrorMetadata + Error + 'static,
{
    together(which.chunks(at_a_time).map(async |chunk| {
        let ids: Vec<String> = chunk.iter().map(ToString::to_string).collect();
        let what = format!("stores with the identity {}", sample(&ids));
        let call = Call::reading(shape.call, what.as_str());
        let listed = pages(&call, &what, async |marker| list(ids.clone(), marker).await).await;
        call.understand(listed, |_| None, shape.with_arn())
    }))
    .await
}

/// Asks for each store by its identifier. `single` says none for what its service calls not found.
pub(crate) async fn ask_singly<Raw, E>(
    shape: &Shape<Raw>,
    which: &[&StoreArn],
    single: impl AsyncFn(&str) -> Result<Option<Vec<Raw>>, SdkError<E, HttpResponse>>,
) -> Answer<Raw>
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let singles = at_once(which.iter().map(|arn| {
        let single = &single;
        async move { (*arn, single(arn.name()).await) }
    }));
    let mut answer = Answer::new(Vec::new());
    for (arn, result) in singles.await {
        let call = Call::reading(shape.call, arn.as_str());
        match result.map(|found| found.map(|found| found.into_iter().next())) {
            Ok(None) => answer.gone.push(arn.clone()),
            Ok(Some(raw)) => match raw.map(|raw| ((shape.arn)(&raw), raw)) {
                Some((Ok(there), raw)) if there == arn.as_str() => answer.there.push((arn.clone(), raw)),
                Some((Err(odd), _)) => answer.gaps.push(call.odd(Some(arn.as_str()), &odd)),
                Some((Ok(_), _)) | None => {
                    let message = "the identifier belongs to a store with another ARN";
                    answer.gaps.push(call.error(ErrorKind::Rejected, "other-store", message).into());
                }
            },
            Err(error) => answer.gaps.push(call.failed(&error).into()),
        }
    }
    answer
}

/// The VPCs of stores that name only their subnet group. A subnet group cannot be deleted while a
/// store uses it, so what was read for one store never changes; but its name can be taken again in
/// another VPC afterwards, which is why the store is part of the key.
#[derive(Debug, Default)]
pub(crate) struct KnownVpcs(Mutex<BTreeMap<(String, String), VpcId>>);

impl KnownVpcs {
    /// The VPCs of subnet groups, by name, every one of them: from memory where it is known for
    /// these stores, else read once for all that share the group. A store is named by something
    /// that is never another's, or not at all when that cannot be told.
    pub(crate) async fn of(
        &self,
        stores: &[(Option<String>, &str)],
        read: impl AsyncFn(&str) -> Result<VpcId, Gap>,
    ) -> BTreeMap<String, Result<VpcId, Gap>> {
        let mut vpcs = BTreeMap::new();
        let mut unknown = BTreeSet::new();
        for (store, group) in stores {
            match store.clone().and_then(|store| self.known().get(&(store, (*group).to_owned())).cloned()) {
                Some(vpc) => {
                    vpcs.insert((*group).to_owned(), Ok(vpc));
                }
                None => {
                    unknown.insert((*group).to_owned());
                }
            }
        }
        let read = &read;
        let answers = at_once(unknown.into_iter().map(|group| async move {
            let vpc = read(&group).await;
            (group, vpc)
        }));
        vpcs.extend(answers.await);
        for (store, group) in stores {
            if let (Some(store), Some(Ok(vpc))) = (store, vpcs.get(*group)) {
                self.known().insert((store.clone(), (*group).to_owned()), vpc.clone());
            }
        }
        vpcs
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeMap<(String, String), VpcId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The VPC of a subnet group out of a list of all. One that is not in it is in a gap of the list, or was
/// made since, which the next look will see.
pub(crate) fn listed_vpcs(all: &Reading<(String, VpcId)>) -> impl AsyncFn(&str) -> Result<VpcId, Gap> {
    async |name: &str| {
        let listed = all.found.iter().find(|(of, _)| of == name).map(|(_, vpc)| vpc.clone());
        listed.ok_or_else(|| {
            all.gaps.first().cloned().unwrap_or_else(|| {
                let message = "it is not among those that were listed";
                Gap::of("the subnet group", name, message).that_passes(true, true)
            })
        })
    }
}

pub(crate) fn group_ids(list: &GroupList) -> Vec<String> {
    list.iter().map(|group| group.as_str().to_owned()).collect()
}

/// The range of all ports of a store's endpoints. No port, or port 0, is what a store shows that is
/// still being created.
pub(crate) fn ports(ports: impl IntoIterator<Item = i32>) -> Result<Option<PortRange>, Odd> {
    let port = |port: i32| u16::try_from(port).map_err(|_| Odd::lasting(format!("{port} is not a port")));
    let ports: Vec<u16> = ports.into_iter().filter(|port| *port != 0).map(port).collect::<Result<_, _>>()?;
    let ends = ports.iter().min().zip(ports.iter().max());
    Ok(ends.and_then(|(first, last)| PortRange::new(*first, *last)))
}

pub(crate) fn zones<'zone>(names: impl Iterator<Item = &'zone str>) -> Result<BTreeSet<ZoneName>, Odd> {
    names.filter(|name| !name.is_empty()).map(|name| Ok(ZoneName::parse(name)?)).collect()
}

/// A store's list of groups, from ids and states.
pub(crate) fn memberships<'raw>(
    raw: impl Iterator<Item = (Option<&'raw str>, Option<&'raw str>)>,
) -> Result<BTreeMap<SecurityGroupId, Membership>, Odd> {
    raw.map(|(id, status)| {
        let id = SecurityGroupId::parse(required(id, "the id of a security group")?)?;
        Ok((id, membership(status)))
    })
    .collect()
}

/// AWS documents only `active`; the other two are seen. A word that nobody knows is taken for
/// `adding`: the group then counts as there, but nothing is written while it stays so, and a word
/// for being taken away can at worst delay a change, never make one of a list that is not real.
fn membership(status: Option<&str>) -> Membership {
    match status.map(str::to_ascii_lowercase).as_deref() {
        None | Some("" | "active") => Membership::Active,
        Some("removing") => Membership::Removing,
        Some(_) => Membership::Adding,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removing_is_never_taken_for_active_and_a_new_word_stops_writing() {
        let groups =
            [("sg-1", "active"), ("sg-2", "adding"), ("sg-3", "removing"), ("sg-4", "Removing"), ("sg-5", "resyncing")];
        let read = memberships(groups.into_iter().map(|(id, status)| (Some(id), Some(status)))).unwrap();
        assert_eq!(
            read.into_values().collect::<Vec<_>>(),
            [Membership::Active, Membership::Adding, Membership::Removing, Membership::Removing, Membership::Adding]
        );
        let silent = memberships([(Some("sg-1"), None)].into_iter()).unwrap();
        assert_eq!(silent.into_values().collect::<Vec<_>>(), [Membership::Active]);
        assert!(memberships([(Some("default"), None)].into_iter()).is_err());
        assert!(memberships([(None, Some("active"))].into_iter()).is_err());
    }

    #[test]
    fn all_ports_of_a_store_are_one_range() {
        assert_eq!(ports([6380, 6379]).unwrap(), PortRange::new(6379, 6380));
        assert_eq!(ports(Some(5439)).unwrap(), PortRange::single(5439));
        assert_eq!(ports([0, 6379]).unwrap(), PortRange::single(6379));
        assert_eq!(ports(None).unwrap(), None);
        assert_eq!(ports([6379, 70_000]), Err(Odd::lasting("70000 is not a port")));
    }
}
