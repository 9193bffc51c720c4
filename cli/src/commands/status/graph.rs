//! Connections as graphs, for documents and pictures.

use std::collections::BTreeMap;

use tagwire_core::{
    connections::{Client, ConnectionStatus, State},
    id::{StoreArn, VpcId},
};

/// The nodes and edges of one VPC, in the order of the rows.
#[derive(Default)]
struct VpcGraph<'row> {
    /// Each with its label.
    clients: Vec<(&'row Client, String)>,
    stores: Vec<(&'row StoreArn, String)>,
    /// The rows, each with the places of its client and its store in these lists.
    rows: Vec<(&'row ConnectionStatus, usize, usize)>,
    client_places: BTreeMap<&'row Client, usize>,
}

fn places(rows: &[ConnectionStatus]) -> BTreeMap<&VpcId, VpcGraph<'_>> {
    let mut places = BTreeMap::<&VpcId, VpcGraph<'_>>::new();
    for row in rows {
        let place = places.entry(&row.vpc).or_default();
        let client = *place.client_places.entry(&row.client).or_insert(place.clients.len());
        if client == place.clients.len() {
            let name = row.instance_name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
            place.clients.push((&row.client, format!("{}{name}", row.client)));
        }
        // Rows of one data store follow each other.
        if place.stores.last().is_none_or(|(last, _)| **last != row.store) {
            let service = row.service.row().title;
            let ports = row.ports.map(|ports| format!(" {ports}")).unwrap_or_default();
            place.stores.push((&row.store, format!("{service}{ports}")));
        }
        place.rows.push((row, client, place.stores.len() - 1));
    }
    places
}

fn edge(row: &ConnectionStatus) -> String {
    let state = match row.code {
        Some(code) => format!("{} ({code})", row.state.word()),
        None => row.state.word().to_owned(),
    };
    let maker = row.made_by.map(|maker| maker.word().to_owned());
    let parts = [Some(state), maker, row.cross_az.then(|| "cross-AZ".to_owned())];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// A text between double quotes, as Graphviz reads it.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A graph for Graphviz: one cluster a VPC.
pub(super) fn dot(rows: &[ConnectionStatus]) -> String {
    let mut lines = vec![
        "digraph tagwire {".to_owned(),
        "  rankdir=LR;".to_owned(),
        "  node [shape=box, fontname=\"sans-serif\"];".to_owned(),
        "  edge [fontname=\"sans-serif\", fontsize=10];".to_owned(),
    ];
    for (vpc, place) in places(rows) {
        lines.push(format!("  subgraph {} {{", quoted(&format!("cluster_{vpc}"))));
        lines.push(format!("    label={};", quoted(vpc.as_str())));
        // A block of addresses, and the name of a former data store, may stand in several VPCs.
        let id = |what: &str| quoted(&format!("{vpc}/{what}"));
        for (client, label) in &place.clients {
            lines.push(format!("    {} [label={}];", id(&client.to_string()), quoted(label)));
        }
        for (store, message) in &place.stores {
            let label = quoted(&format!("{}\n{message}", store.short())).replace('\n', "\\n");
            lines.push(format!("    {} [shape=cylinder, label={label}];", id(store.as_str())));
        }
        for (row, ..) in place.rows {
            let style = match row.state {
                State::Connected => "style=solid",
                State::Drifted => "style=solid, color=orange",
                State::Waiting => "style=dashed",
                State::Refused => "style=dotted, color=red, arrowhead=tee",
            };
            let (from, to) = (id(&row.client.to_string()), id(row.store.as_str()));
            lines.push(format!("    {from} -> {to} [label={}, {style}];", quoted(&edge(row))));
        }
        lines.push("  }".to_owned());
    }
    lines.push("}".to_owned());
    lines.into_iter().map(|line| line + "\n").collect()
}

/// A text between double quotes for Mermaid, in which symbols with a meaning are written as entities.
fn entities(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut safe, symbol| {
        match symbol {
            '"' => safe.push_str("#quot;"),
            '#' => safe.push_str("#35;"),
            '<' => safe.push_str("#lt;"),
            '>' => safe.push_str("#gt;"),
            '|' => safe.push_str("#124;"),
            '`' => safe.push_str("#96;"),
            other => safe.push(other),
        }
        safe
    })
}

/// A flowchart for Mermaid: one subgraph a VPC.
pub(super) fn mermaid(rows: &[ConnectionStatus]) -> String {
    let mut lines = vec!["flowchart LR".to_owned()];
    for (number, (vpc, place)) in places(rows).into_iter().enumerate() {
        lines.push(format!("  subgraph vpc{number}[\"{}\"]", entities(vpc.as_str())));
        for (index, (_, label)) in place.clients.iter().enumerate() {
            lines.push(format!("    vpc{number}_c{index}[\"{}\"]", entities(label)));
        }
        for (index, (store, message)) in place.stores.iter().enumerate() {
            lines.push(format!(
                "    vpc{number}_s{index}[(\"{}<br/>{}\")]",
                entities(&store.short()),
                entities(message)
            ));
        }
        for (row, client, store) in place.rows {
            let arrow = match row.state {
                State::Connected => "-->",
                State::Drifted => "==>",
                State::Waiting => "-.->",
                State::Refused => "--x",
            };
            lines.push(format!("    vpc{number}_c{client} {arrow}|\"{}\"| vpc{number}_s{store}", entities(&edge(row))));
        }
        lines.push("  end".to_owned());
    }
    lines.into_iter().map(|line| line + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::status::tests::gathered;

    #[test]
    fn what_stands_in_one_vpc_stands_together() {
        let rows = gathered("instance i-1 connect=orders\ndb orders connect=orders\npair orders 1 attached-to=i-1")
            .connections;
        let expected = r#"digraph tagwire {
  rankdir=LR;
  node [shape=box, fontname="sans-serif"];
  edge [fontname="sans-serif", fontsize=10];
  subgraph "cluster_vpc-1" {
    label="vpc-1";
    "vpc-1/i-1" [label="i-1"];
    "vpc-1/arn:aws:rds:eu-central-1:123456789012:db:orders" [shape=cylinder, label="db/orders\nRDS 5432"];
    "vpc-1/i-1" -> "vpc-1/arn:aws:rds:eu-central-1:123456789012:db:orders" [label="connected, tagwire", style=solid];
  }
}
"#;
        assert_eq!(dot(&rows), expected);
        let expected = r#"flowchart LR
  subgraph vpc0["vpc-1"]
    vpc0_c0["i-1"]
    vpc0_s0[("db/orders<br/>RDS 5432")]
    vpc0_c0 -->|"connected, tagwire"| vpc0_s0
  end
"#;
        assert_eq!(mermaid(&rows), expected);
    }

    #[test]
    fn an_instance_with_two_data_stores_is_one_node() {
        let rows = gathered("instance i-1 connect=a\ndb one connect=a\ndb two connect=a").connections;
        assert_eq!(dot(&rows).matches("[label=\"i-1\"]").count(), 1);
        let chart = mermaid(&rows);
        assert!(chart.contains("vpc0_c0 -.->|\"waiting (connecting)\"| vpc0_s1"), "{chart}");
    }

    #[test]
    fn no_text_ends_its_quotes() {
        assert_eq!(quoted(r#"a"b\c"#), r#""a\"b\\c""#);
        assert_eq!(entities("a\"b#<i>|`"), "a#quot;b#35;#lt;i#gt;#124;#96;");
    }
}
