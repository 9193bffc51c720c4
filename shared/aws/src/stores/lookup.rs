//! Looking stores up in such a way that each is found, is not found, or lies in a gap.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
};

use aws_sdk_ec2::error::ProvideErrorMetadata;
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use tagwire_core::{
    id::{StoreArn, StoreId, VpcId},
    model::DataStore,
    observation::{Gap, Reading, StoreLookup, Subject},
};
use tagwire_engine::cloud::ErrorKind;

use crate::{
    call::{Call, Unusable},
    reading::{at_once, from_results, sample, together},
};

/// The call that describes stores of one kind.
pub(crate) struct DescribeCall<Raw> {
    /// Service and operation.
    pub(crate) call: &'static str,
    /// The error code that says that there is no such store.
    pub(crate) not_found: &'static str,
    /// Up to this many stores are described one by one. It is 0 for a service whose list can be
    /// filtered by name.
    pub(crate) singly: usize,
    /// How many names or identities a filter of the list takes.
    pub(crate) at_a_time: usize,
    /// Reads the ARN of a description.
    pub(crate) arn: fn(&Raw) -> Result<String, Unusable>,
    /// Reads the VPC of a description; `None` where another call has to be asked for it.
    pub(crate) vpc: fn(&Raw) -> Option<&str>,
}

impl<Raw: Clone> DescribeCall<Raw> {
    /// Reads the ARNs of a list. A description without a usable ARN leaves a gap.
    pub(crate) fn with_arns(
        &self,
        call: &Call,
        listed: Reading<Raw>,
        name: impl Fn(&Raw) -> Option<&str>,
    ) -> Reading<(StoreArn, Raw)> {
        let named = from_results(listed.found.into_iter().map(|raw| {
            let vpc = (self.vpc)(&raw).and_then(|vpc| VpcId::parse(vpc).ok());
            let unusable = |unusable| call.on(name(&raw)).in_vpc(vpc.as_ref()).unusable(&unusable);
            let arn = (self.arn)(&raw).and_then(|arn| Ok(StoreArn::parse(arn)?)).map_err(unusable)?;
            Ok((arn, raw))
        }));
        Reading { gaps: [listed.gaps, named.gaps].concat(), ..named }
    }
}

/// The answers of a service about some ARNs.
pub(crate) struct Lookups<Raw> {
    pub(crate) found: Vec<(StoreArn, Raw)>,
    pub(crate) not_found: Vec<StoreArn>,
    pub(crate) gaps: Vec<Gap>,
}

impl<Raw> Default for Lookups<Raw> {
    fn default() -> Self {
        Self { found: Vec::new(), not_found: Vec::new(), gaps: Vec::new() }
    }
}

impl<Raw> Lookups<Raw> {
    pub(crate) fn extend(&mut self, other: Self) {
        self.found.extend(other.found);
        self.not_found.extend(other.not_found);
        self.gaps.extend(other.gaps);
    }

    /// The reading, once the found descriptions have been decoded.
    pub(crate) fn into_reading(self, stores: Reading<DataStore>) -> Reading<StoreLookup> {
        let found = stores.found.into_iter().map(|store| StoreLookup::Found(Box::new(store)));
        let found = found.chain(self.not_found.into_iter().map(StoreLookup::NotFound)).collect();
        Reading { found, gaps: [self.gaps, stores.gaps].concat() }
    }
}

/// Looks stores up in one list, and singly each that the list leaves out: absence from a list is
/// no evidence that a store does not exist. `list` is given the names, which not every service can
/// filter by; a description counts only for the very ARN that was asked for. `single` describes
/// one store by name.
pub(crate) async fn look_up<Raw, E>(
    described: &DescribeCall<Raw>,
    which: &[StoreArn],
    list: impl AsyncFn(&Call, Vec<String>) -> Reading<Raw>,
    single: impl AsyncFn(&str) -> Result<Option<Vec<Raw>>, SdkError<E, HttpResponse>>,
) -> Lookups<Raw>
where
    E: ProvideErrorMetadata + Error + 'static,
{
    if which.len() <= described.singly {
        return look_up_singly(described, which.iter(), &single).await;
    }
    let (list, single) = (&list, &single);
    let mut all = Lookups::default();
    for lookups in
        at_once(which.chunks(described.at_a_time).map(|chunk| look_up_listed(described, chunk, list, single))).await
    {
        all.extend(lookups);
    }
    all
}

async fn look_up_listed<Raw, E>(
    described: &DescribeCall<Raw>,
    which: &[StoreArn],
    list: &impl AsyncFn(&Call, Vec<String>) -> Reading<Raw>,
    single: &impl AsyncFn(&str) -> Result<Option<Vec<Raw>>, SdkError<E, HttpResponse>>,
) -> Lookups<Raw>
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let mut missing: BTreeMap<&str, &StoreArn> = which.iter().map(|arn| (arn.as_str(), arn)).collect();
    let names: BTreeSet<String> = which.iter().map(|arn| arn.name().to_owned()).collect();
    let what = match which {
        [only] => only.to_string(),
        _ => format!("{} stores", which.len()),
    };
    let call = Call::reading(described.call, what);
    let listed = list(&call, names.into_iter().collect()).await;
    let list_is_whole = listed.is_complete();
    let mut lookups = Lookups { gaps: listed.gaps, ..Lookups::default() };
    for raw in listed.found {
        // A description without an ARN, or with one that was not asked for, is no answer.
        if let Some(arn) = (described.arn)(&raw).ok().and_then(|arn| missing.remove(arn.as_str())) {
            lookups.found.push((arn.clone(), raw));
        }
    }
    if list_is_whole {
        lookups.extend(look_up_singly(described, missing.into_values(), single).await);
    } else {
        // A call for each would be a storm at a service that has just refused one.
        let unread = || missing.values().map(|arn| Subject::Store((*arn).clone()));
        lookups.gaps = lookups.gaps.into_iter().map(|gap| gap.about(unread())).collect();
    }
    lookups
}

async fn look_up_singly<Raw, E>(
    described: &DescribeCall<Raw>,
    which: impl Iterator<Item = &StoreArn>,
    single: &impl AsyncFn(&str) -> Result<Option<Vec<Raw>>, SdkError<E, HttpResponse>>,
) -> Lookups<Raw>
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let mut lookups = Lookups::default();
    for (arn, answer) in at_once(which.map(|arn| async move { (arn, single(arn.name()).await) })).await {
        let call = Call::of_store(described.call, arn);
        match answer {
            Ok(answer) => match answer.into_iter().flatten().next().map(|raw| ((described.arn)(&raw), raw)) {
                Some((Ok(of), raw)) if of == arn.as_str() => lookups.found.push((arn.clone(), raw)),
                Some((Err(unusable), _)) => lookups.gaps.push(call.unusable(&unusable)),
                Some((Ok(_), _)) | None => {
                    let message = "the identifier belongs to a store with another ARN";
                    lookups.gaps.push(call.gap(call.error(ErrorKind::Rejected, "other-store", message)));
                }
            },
            Err(error) if error.code() == Some(described.not_found) => lookups.not_found.push(arn.clone()),
            Err(error) => lookups.gaps.push(call.gap(call.failed(&error))),
        }
    }
    lookups
}

/// Looks for the stores that have some identities, each given with the last ARN that is known of it.
/// Nothing is asked singly, for an identity is no name that could be described.
pub(crate) async fn find<Raw: Clone>(
    described: &DescribeCall<Raw>,
    which: &[(StoreId, StoreArn)],
    list: impl AsyncFn(&Call, Vec<String>) -> Reading<Raw>,
) -> Reading<(StoreArn, Raw)> {
    together(which.chunks(described.at_a_time).map(async |chunk| {
        let ids: Vec<String> = chunk.iter().map(|(id, _)| id.to_string()).collect();
        let call = Call::reading(described.call, format!("stores with the identity {}", sample(&ids)));
        let call = call.about(chunk.iter().map(|(_, arn)| Subject::Store(arn.clone())));
        let listed = list(&call, ids).await;
        described.with_arns(&call, listed, |_| None)
    }))
    .await
}
