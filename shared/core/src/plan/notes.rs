//! Notes for the state table. Those about attachments and groups follow the tags, and end with their subject.

use std::collections::{BTreeMap, BTreeSet};

use super::index::Index;
use crate::{
    group::{GroupRecord, Ownership},
    id::{InterfaceId, SecurityGroupId},
    model::{DataStore, Instance},
    observation::Scope,
    state::{Attached, Note, Target, VpcState},
};

/// A list whose owner's tag has another value now has been looked at by somebody: how often something
/// had to be attached to it again is forgotten, also when the tag later says the same as before.
pub(crate) fn follow_tags(index: &Index<'_>) -> Vec<Note> {
    let Some(state) = index.seen.state.as_ref().ok() else { return Vec::new() };
    let lists: BTreeMap<&InterfaceId, &Instance> =
        index.instances().filter_map(|instance| Some((&instance.interface.as_ref()?.id, instance))).collect();
    let note = |((target, group), attached): (&(Target, SecurityGroupId), &Attached)| {
        let (connect, has) = match target {
            Target::Interface(id) => {
                let instance = lists.get(id)?;
                (&instance.settings.connect, instance.has_group(group))
            }
            Target::Store(id) => {
                let store = index.store(id)?;
                (&store.settings.connect, store.has_group(group))
            }
        };
        let tag = Attached::tag_of(connect);
        if tag == attached.tag {
            return None;
        }
        let renewed = Attached { tag, again: Vec::new(), contested: false, ..attached.clone() };
        Some(Note::Attached(target.clone(), group.clone(), has.then_some(renewed)))
    };
    state.attached.iter().filter_map(note).collect()
}

/// The notes that bind the groups that are proven to be ours by their ids, with the name that their store has now.
pub(crate) fn bind(index: &Index<'_>) -> Vec<Note> {
    let Ok(identities) = &index.seen.identities else { return Vec::new() };
    let note = |(id, ownership): (&SecurityGroupId, &Ownership)| {
        let Ownership::Owned(owned) = ownership else { return None };
        let known = index.group(id)?.proven()?;
        // A scope that names another store leaves this one under the name by which it is known.
        let is_named = |store: &&DataStore| known.arn.is_none() || index.seen.scope.has_store(&store.arn);
        let now = index.store(&owned.store).filter(is_named);
        let arn = now.map(|store| store.arn.clone()).or_else(|| known.arn.clone());
        let record = GroupRecord { id: Some(id.clone()), arn, earlier: None, ..known.clone() };
        (identities.get(&owned.name) != Some(&record)).then_some(Note::Identity(owned.name, Some(record)))
    };
    index.ownership().filter_map(note).collect()
}

/// The notes that delete the entries about groups and lists that are no longer there.
pub(crate) fn forget_deleted(index: &Index<'_>) -> Vec<Note> {
    let seen = index.seen;
    let Some(VpcState { unused, attached, .. }) = seen.state.as_ref().ok().filter(|_| seen.scope == Scope::Vpc) else {
        return Vec::new();
    };
    let is_there = |group: &SecurityGroupId| index.group(group).is_some();
    let interfaces: BTreeSet<&InterfaceId> =
        index.instances().filter_map(|instance| instance.interface.as_ref()).map(|interface| &interface.id).collect();
    let may_have_list = |target: &Target| match target {
        // What outlives its instance is still known to be tagwire's.
        Target::Interface(id) => {
            let left_over = || seen.attachments.by.found.iter().any(|attached| attached.interface == *id);
            let unread = !seen.instances.is_complete() || !seen.attachments.by.is_complete();
            interfaces.contains(id) || unread || left_over()
        }
        Target::Store(id) => index.store(id).is_some() || !index.knows_store(id),
    };
    let unused = unused.keys().filter(|group| !is_there(group)).map(|group| Note::Unused(group.clone(), None));
    let forgotten = attached.keys().filter(|(target, group)| !is_there(group) || !may_have_list(target));
    unused.chain(forgotten.map(|(target, group)| Note::Attached(target.clone(), group.clone(), None))).collect()
}
