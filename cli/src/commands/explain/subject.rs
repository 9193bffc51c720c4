//! What a person may ask an explanation of, and how it is found.

use std::collections::BTreeSet;

use tagwire_core::{
    cidr::CidrPeer,
    id::{InstanceId, SecurityGroupId, StoreArn},
    tag::ConnectionName,
};

use crate::{
    commands::status::{Gathered, is_called},
    error::{CommandError, CommandResult, user_error},
    session::no_such_store,
};

/// The first argument, as far as it tells by itself what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Argument {
    Instance(InstanceId),
    Group(SecurityGroupId),
    Client(CidrPeer),
    /// A data store, by its ARN or as `cluster/orders`.
    Store(String),
    /// A word that may be the name of several things.
    Word(String),
}

impl std::str::FromStr for Argument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(instance) = InstanceId::parse(text) {
            return Ok(Self::Instance(instance));
        }
        if let Ok(group) = SecurityGroupId::parse(text) {
            return Ok(Self::Group(group));
        }
        // An address is a block of one.
        let address = text.parse::<std::net::IpAddr>();
        let length = address.map(|address| if address.is_ipv4() { "/32" } else { "/128" }).unwrap_or_default();
        if let Ok(client) = CidrPeer::parse(&format!("{text}{length}")) {
            return Ok(Self::Client(client));
        }
        if text.starts_with("arn:") || text.contains('/') {
            return Ok(Self::Store(text.to_owned()));
        }
        if text.is_empty() { Err("it is empty".to_owned()) } else { Ok(Self::Word(text.to_owned())) }
    }
}

/// What a word names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Named {
    Instance(InstanceId),
    Store(StoreArn),
    Name(ConnectionName),
}

/// The data store that is called so, also one of which only groups are left.
///
/// # Errors
/// When there is none, or more than one.
pub(super) fn store_called(gathered: &Gathered, called: &str) -> CommandResult<StoreArn> {
    let found = stores_called(gathered, called);
    match found.iter().collect::<Vec<_>>().as_slice() {
        [only] => Ok((*only).clone()),
        [] => Err(no_such_store(called, &gathered.region)),
        _ => Err(ambiguous(called, &found.iter().map(StoreArn::short).collect::<Vec<_>>())),
    }
}

/// What a word is the name of, when it is the name of one thing.
///
/// # Errors
/// When it is the name of nothing, or of several things.
pub(super) fn named(gathered: &Gathered, instances: &[InstanceId], word: &str) -> CommandResult<Named> {
    let stores = stores_called(gathered, word);
    let survey = &gathered.survey;
    let names = survey.instances.found.iter().flat_map(|instance| instance.settings.connect.names());
    let mut names = names.chain(survey.present_stores().flat_map(|store| store.settings.connect.names()));
    let name = names.find(|name| name.as_str() == word);
    match (stores.iter().collect::<Vec<_>>().as_slice(), instances, name) {
        ([only], [], None) => Ok(Named::Store((*only).clone())),
        ([], [only], None) => Ok(Named::Instance(only.clone())),
        ([], [], Some(name)) => Ok(Named::Name(name.clone())),
        ([], [], None) => Err(user_error!(
            "{word} is neither a data store, nor the Name of an instance, nor a connection name in {}",
            gathered.region
        )
        .hint("`tagwire names` lists every connection name, and `tagwire status` the data stores")),
        (_, _, name) => {
            let name = instances.iter().map(ToString::to_string).chain(name.map(|name| format!("--name {name}")));
            Err(ambiguous(word, &stores.iter().map(StoreArn::short).chain(name).collect::<Vec<_>>()))
        }
    }
}

fn stores_called(gathered: &Gathered, called: &str) -> BTreeSet<StoreArn> {
    let stores = gathered.survey.present_stores().map(|store| &store.arn);
    let stores = stores.chain(gathered.connections.iter().map(|row| &row.store));
    stores.filter(|arn| is_called(arn, called)).cloned().collect()
}

fn ambiguous(called: &str, candidates: &[String]) -> CommandError {
    user_error!("{called} may mean several things").hint(format!("say which: {}", candidates.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::status::tests::gathered;

    fn argument(text: &str) -> Argument {
        text.parse().unwrap()
    }

    #[test]
    fn an_argument_tells_what_it_is_by_its_form() {
        assert!(matches!(argument("i-0a1b2c3d"), Argument::Instance(_)));
        assert!(matches!(argument("sg-0a1b2c3d"), Argument::Group(_)));
        for client in ["203.0.113.0/24", "203.0.113.7", "2001:db8::/48", "2001:db8::1", "pl-0a1b2c3d"] {
            assert!(matches!(argument(client), Argument::Client(_)), "{client}");
        }
        for store in ["cluster/orders", "arn:aws:rds:eu-central-1:123456789012:db:orders"] {
            assert_eq!(argument(store), Argument::Store(store.to_owned()));
        }
        assert_eq!(argument("orders"), Argument::Word("orders".to_owned()));
        assert_eq!("".parse::<Argument>(), Err("it is empty".to_owned()));
    }

    #[test]
    fn a_word_is_what_alone_is_called_so_and_an_ambiguous_one_lists_what_it_may_mean() {
        let mut all = gathered("instance i-1 connect=orders,archive\ndb orders connect=orders\ndb books");
        all.survey.stores.found.extend(gathered("cluster books").survey.stores.found);
        assert_eq!(named(&all, &[], "archive").unwrap(), Named::Name(ConnectionName::parse("archive").unwrap()));
        let both = named(&all, &[InstanceId::parse("i-9").unwrap()], "orders").unwrap_err();
        assert_eq!(both.hints, ["say which: db/orders, i-9, --name orders"]);
        let several = store_called(&all, "books").unwrap_err();
        assert_eq!(several.hints, ["say which: cluster/books, db/books"]);
        assert_eq!(store_called(&all, "cluster/books").unwrap().short(), "cluster/books");
        assert!(named(&all, &[], "nothing").unwrap_err().to_string().contains("neither a data store, nor"));
    }

    #[test]
    fn a_data_store_that_is_gone_is_found_by_what_is_left_of_it() {
        let all = gathered("instance i-1 connect=orders\ngone orders\npair orders 1 attached-to=i-1");
        assert_eq!(store_called(&all, "db/orders").unwrap().short(), "db/orders");
    }
}
