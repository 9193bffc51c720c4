//! The trait of a store service, and everything that its implementations share.

pub(crate) mod fields;
pub(crate) mod lookup;
pub(crate) mod subnets;

use futures_util::future::LocalBoxFuture;
use tagwire_core::{
    group::GroupList,
    id::{StoreArn, StoreId},
    model::DataStore,
    observation::{Gap, Reading, StoreLookup, Subject},
};
use tagwire_engine::cloud::{CloudError, ErrorKind};

use crate::call::Call;

/// The API of one kind of data store. The one match on [`StoreKind`](tagwire_core::service::StoreKind)
/// in this crate picks the implementation.
pub(crate) trait StoreService {
    /// Looks stores up by ARN. Each is found, is not found, or lies in a gap.
    fn by_arn(&self, which: Vec<StoreArn>) -> LocalBoxFuture<'_, Reading<StoreLookup>>;

    /// Lists every store of this kind. A kind whose stores are in another kind's list gives an
    /// empty reading.
    fn all(&self) -> LocalBoxFuture<'_, Reading<DataStore>>;

    /// Whether [`StoreService::all`] shows the stores' tags. Where it does not, the tag index is
    /// asked for them, a hundred at a time, instead of each store for its own.
    fn lists_tags(&self) -> bool {
        true
    }

    /// The stores that have these identities, whatever their names are now; each identity is given
    /// with the last ARN that is known of it. Empty where the ARN is the identity: such a
    /// store cannot be renamed.
    fn by_identity(&self, which: Vec<(StoreId, StoreArn)>) -> LocalBoxFuture<'_, Reading<DataStore>> {
        drop(which);
        Box::pin(async { Reading::default() })
    }

    /// Replaces a store's list of groups, and changes nothing else.
    fn set_groups<'call>(
        &'call self,
        of: &'call StoreArn,
        to: &'call GroupList,
    ) -> LocalBoxFuture<'call, Result<(), CloudError>>;

    /// Writes a status tag, or removes it with `None`.
    ///
    /// # Errors
    /// By default it is refused: a tag change takes some kinds of store out of `available`.
    fn set_status<'call>(
        &'call self,
        of: &'call StoreArn,
        text: Option<&'call str>,
    ) -> LocalBoxFuture<'call, Result<(), CloudError>> {
        let _ = text;
        let call = Call::writing("tagwire:SetStatus", of.as_str());
        let message = "a change of its tags would take it out of its available state";
        Box::pin(async move { Err(call.error(ErrorKind::Rejected, "no-status", message)) })
    }
}

/// A gap in something that a store's description rests on, as a gap of the store.
pub(crate) fn gap_of(gap: &Gap, arn: &StoreArn) -> Gap {
    Gap { resources: [Subject::Store(arn.clone())].into(), ..gap.clone() }
}
