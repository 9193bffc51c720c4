//! A client that is no instance, and the data stores that let it in or are asked to.

use super::{Account, Overview, OverviewLine, SharedEnd, counted};
use crate::{
    cidr::{Block, CidrPeer},
    connections::{Client, ConnectionStatus, State, covers},
    explain::facts::few,
    finding::Reason,
    group::{Ownership, Role, SecurityGroup},
    id::StoreArn,
    model::DataStore,
    rule::{Direction, Rule},
    service::StoreApi,
    tag::ALLOW_CIDR_KEY,
    untrusted::Shown,
};

/// How much of a client is let in with another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Share {
    All,
    Part,
}

impl Account<'_> {
    pub(super) fn client(&self, client: &CidrPeer, only: Option<&StoreArn>) -> Overview {
        let is_asked = |arn: &StoreArn| only.is_none_or(|only| only == arn);
        let rows = self.rows();
        let mut lines: Vec<OverviewLine> =
            rows.iter().filter(|row| is_asked(&row.store)).filter_map(|row| self.own_line(row, client)).collect();
        let stores: Vec<&DataStore> = self.survey.present_stores().filter(|store| is_asked(&store.arn)).collect();
        lines.extend(stores.iter().flat_map(|store| self.lines_of_others(store, client)));
        let without = stores.iter().filter(|store| !lines.iter().any(|line| line.store == store.arn));
        let without: Vec<&&DataStore> = without.collect();
        let mut overview = Overview { subject: client.to_string(), end: SharedEnd::Client, ..Overview::default() };
        let message = if lines.is_empty() { "let in by no group of a data store".to_owned() } else { counted(&lines) };
        overview.message = format!("{client}: {message}");
        match (only, without.as_slice()) {
            (_, []) => {}
            (Some(_), [store, ..]) => {
                overview.facts.push(tag_of(store));
                overview.remedy = self.let_in(store, client);
            }
            (None, stores) => {
                let named = few(stores.iter().map(|store| store.arn.short()));
                overview.facts.push(format!("no rule of these lets it in, and no tag asks for it: {named}"));
            }
        }
        overview.facts.push(
            "only rules of security groups are looked at; routes, network ACLs and public access decide as well"
                .to_owned(),
        );
        for line in lines.iter().filter(|line| line.state != State::Connected) {
            let command = format!("tagwire explain {}", line.store.short());
            if !overview.remedy.contains(&command) {
                overview.remedy.push(command);
            }
        }
        let about = |action: &crate::plan::Action| {
            action.store.as_ref().is_some_and(|of| lines.iter().any(|line| line.store == *of && line.code.is_some()))
        };
        overview.next = self.actions(about);
        overview.with_lines(lines)
    }

    /// The line of a group of tagwire's, or of a tag, that has to do with a client.
    fn own_line(&self, row: &ConnectionStatus, client: &CidrPeer) -> Option<OverviewLine> {
        let Client::Cidr(held) = &row.client else { return None };
        let share = self.share(held, client)?;
        let line = OverviewLine::of(row);
        let through = row.store_side.as_ref().map(|group| format!("{} ({})", group.id, group.name));
        let message = [share.words(held, client), through.map(|group| format!("by {group}"))];
        let message = message.into_iter().flatten().chain([line.message]).filter(|text| !text.is_empty());
        Some(OverviewLine { message: message.collect::<Vec<_>>().join("; "), ..line })
    }

    /// The groups of others on a store that let a client in.
    fn lines_of_others(&self, store: &DataStore, client: &CidrPeer) -> Vec<OverviewLine> {
        let Some((vpc, ports)) = store.vpc().zip(store.ports) else { return Vec::new() };
        let groups = self.survey.groups.found.iter().filter(|group| store.has_group(&group.id));
        let is_own = |group: &SecurityGroup| matches!(group.ownership(), Ownership::Owned(owned) if owned.role() == Role::Cidr && owned.store == store.id);
        let rules = groups.filter(|group| !is_own(group)).flat_map(|group| {
            group.rules(Direction::Inbound).filter(|rule| covers(&rule.traffic, ports)).map(move |rule| (group, rule))
        });
        let line = |(group, rule): (&SecurityGroup, &Rule)| {
            let held = CidrPeer::of(&rule.peer)?;
            let share = self.share(&held, client)?;
            let words = share.words(&held, client).map(|words| format!("{words}; ")).unwrap_or_default();
            Some(OverviewLine {
                vpc: vpc.clone(),
                client: held.to_string(),
                instance: None,
                store: store.arn.clone(),
                state: State::Connected,
                code: None,
                message: format!(
                    "{words}by the rule {rule} of {} ({}), which is not tagwire's",
                    group.id,
                    Shown(&group.name)
                ),
            })
        };
        rules.filter_map(line).collect()
    }

    /// How much of a client another one takes in.
    fn share(&self, held: &CidrPeer, client: &CidrPeer) -> Option<Share> {
        let of_blocks = |held: Block, client: Block| match (held.contains(client), client.contains(held)) {
            (true, _) => Some(Share::All),
            (false, true) => Some(Share::Part),
            (false, false) => None,
        };
        match (held, client) {
            (CidrPeer::Block(held), CidrPeer::Block(client)) => of_blocks(*held, *client),
            (CidrPeer::PrefixList(held), CidrPeer::PrefixList(client)) => (held == client).then_some(Share::All),
            (CidrPeer::PrefixList(list), CidrPeer::Block(client)) => {
                let lists = self.planned.iter().flat_map(|(seen, _)| &seen.prefix_lists.found);
                let entries = lists.filter(|found| found.id == *list).flat_map(|found| &found.entries);
                let shares: Vec<Share> = entries.filter_map(|entry| of_blocks(*entry, *client)).collect();
                let all = shares.contains(&Share::All).then_some(Share::All);
                all.or_else(|| shares.first().copied())
            }
            (CidrPeer::Block(_), CidrPeer::PrefixList(_)) => None,
        }
    }

    /// What lets a client in to a store.
    fn let_in(&self, store: &DataStore, client: &CidrPeer) -> Vec<String> {
        let peers = store.settings.allow_cidr.peers().map(ToString::to_string).chain([client.to_string()]);
        let value = peers.collect::<Vec<_>>().join(" ");
        let StoreApi { name, tag_commands: [set, _], .. } = store.arn.kind().row().api;
        let tag = format!("aws {name} {set} --resource-name {} --tags 'Key={ALLOW_CIDR_KEY},Value={value}'", store.arn);
        let off = self.policy.allow_cidr.is_none().then(|| Reason::CidrNotAllowed.hint());
        off.into_iter().chain([tag]).collect()
    }
}

impl Share {
    /// In words, unless the two are the same.
    fn words(self, held: &CidrPeer, client: &CidrPeer) -> Option<String> {
        match self {
            Self::All if held == client => None,
            Self::All => Some(format!("as a part of {held}")),
            Self::Part => Some(format!("{held} only, which is a part of it")),
        }
    }
}

fn tag_of(store: &DataStore) -> String {
    let asked: Vec<String> = store.settings.allow_cidr.peers().map(ToString::to_string).collect();
    let tag = if asked.is_empty() { "is not there".to_owned() } else { format!("names only {}", few(asked)) };
    format!("no rule of {} lets it in, and its tag {ALLOW_CIDR_KEY} {tag}", store.arn.short())
}
