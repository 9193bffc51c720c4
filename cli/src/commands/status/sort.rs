//! The order of connections that a person chooses.

use std::cmp::Reverse;

use clap::ValueEnum;
use tagwire_core::connections::{ConnectionStatus, Maker, State};

/// A column to sort by. Rows that are equal there stay in the order of VPCs, data stores and clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum SortBy {
    /// By instance, block or prefix list.
    Instance,
    /// By the name of the data store.
    Store,
    /// Refused, drifted, waiting, connected: what deserves a look comes first.
    State,
    /// By who made it.
    MadeBy,
    /// The youngest first, and last those whose age is unknown.
    Age,
    /// By the instance's Availability Zone.
    Az,
    /// By VPC.
    Vpc,
    /// By service.
    Service,
}

impl SortBy {
    pub(super) fn sort(self, rows: &mut [ConnectionStatus]) {
        match self {
            Self::Instance => rows.sort_by(|one, other| one.client.cmp(&other.client)),
            Self::Store => rows.sort_by_cached_key(|row| row.store.short()),
            Self::State => rows.sort_by_key(|row| Reverse(State::ALL.iter().position(|state| *state == row.state))),
            Self::MadeBy => rows.sort_by_key(|row| row.made_by.map(Maker::word)),
            Self::Age => rows.sort_by_key(|row| Reverse(row.since)),
            Self::Az => rows.sort_by(|one, other| one.instance_zone.cmp(&other.instance_zone)),
            Self::Vpc => rows.sort_by(|one, other| one.vpc.cmp(&other.vpc)),
            Self::Service => rows.sort_by_key(|row| row.service.row().title),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::status::tests::gathered;

    #[test]
    fn each_column_orders_the_rows_and_leaves_equal_ones_in_their_order() {
        let world = "instance i-1 connect=orders zone=b
            instance i-2 connect=orders zone=a
            instance i-3 connect=orders zone=a groups=a,b,c,d,e
            db orders connect=orders
            cluster books connect=orders
            pair orders 1 attached-to=i-1,i-2
            attached i-1 ec2-rds-1 tag=orders ago=60
            attached i-2 ec2-rds-1 tag=orders ago=30
            attached orders rds-ec2-1 tag=orders ago=200";
        let order = |column: SortBy| {
            let mut rows = gathered(world).connections;
            column.sort(&mut rows);
            rows.iter().map(|row| format!("{} {}", row.client, row.store.name())).collect::<Vec<_>>()
        };
        let (of_books, of_orders) =
            (["i-1 books", "i-2 books", "i-3 books"], ["i-1 orders", "i-2 orders", "i-3 orders"]);
        assert_eq!(order(SortBy::Vpc), [of_books, of_orders].concat());
        assert_eq!(order(SortBy::Store), [of_books, of_orders].concat());
        assert_eq!(order(SortBy::Service), [of_books, of_orders].concat());
        assert_eq!(order(SortBy::Instance)[..3], ["i-1 books", "i-1 orders", "i-2 books"]);
        assert_eq!(order(SortBy::State)[..3], ["i-3 books", "i-3 orders", "i-1 books"]);
        assert_eq!(order(SortBy::State)[4..], ["i-1 orders", "i-2 orders"]);
        assert_eq!(order(SortBy::MadeBy)[4..], ["i-1 orders", "i-2 orders"]);
        assert_eq!(order(SortBy::Age)[..3], ["i-2 orders", "i-1 orders", "i-1 books"]);
        assert_eq!(order(SortBy::Az)[4..], ["i-1 books", "i-1 orders"]);
    }
}
