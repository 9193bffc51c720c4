//! The settings that the template gives the functions, read once at start. A variable that is missing or
//! malformed stops the function there, with one line that names it.

use std::{collections::BTreeSet, ops::RangeInclusive, time::Duration};

use tagwire_core::{
    cidr::{CidrLimits, DEFAULT_WIDEST_IPV4, DEFAULT_WIDEST_IPV6, WIDEST_IPV4, WIDEST_IPV6},
    group_tags::{GroupTags, MOST_GROUP_TAGS},
    id::SecurityGroupId,
    policy::{
        DEFAULT_DISCONNECT_WINDOW, DEFAULT_INTERFACE_GROUP_LIMIT, DEFAULT_MAX_DISCONNECTS, DEFAULT_SWEEP_PERIOD,
        HIGHEST_INTERFACE_GROUP_LIMIT, Mode, Policy,
    },
    tag::DEFAULT_CONNECT_KEY,
    work::GIVE_UP_AFTER,
};
use tagwire_engine::handlers;
use thiserror::Error;

/// The settings of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The key of the connect tag: `TAGWIRE_TAG_KEY`.
    pub connect_key: String,
    /// The tags that every group gets beside its own when it is made: `TAGWIRE_GROUP_TAGS`.
    pub group_tags: GroupTags,
    /// The URL of the FIFO queue of work: `TAGWIRE_CONNECT_QUEUE_URL`.
    pub connect_queue: String,
    /// The URL of the queue of instance events: `TAGWIRE_INSTANCE_QUEUE_URL`.
    pub instance_queue: String,
    /// The URL of the queue of store events: `TAGWIRE_STORE_QUEUE_URL`.
    pub store_queue: String,
    /// The name of the state table: `TAGWIRE_STATE_TABLE`.
    pub state_table: String,
    /// For how long something is looked at again: `TAGWIRE_GIVE_UP_AFTER`.
    pub give_up_after: Duration,
    /// The settings of the handlers: `TAGWIRE_MODE`, `TAGWIRE_INTERFACE_GROUP_LIMIT`,
    /// `TAGWIRE_MAX_DISCONNECTS`, `TAGWIRE_DISCONNECT_WINDOW`, `TAGWIRE_SWEEP_PERIOD`,
    /// `TAGWIRE_ISOLATION_GROUPS`, `TAGWIRE_STATUS_TAGS`, `TAGWIRE_ALLOW_CIDR`, `TAGWIRE_WIDEST_IPV4`,
    /// `TAGWIRE_WIDEST_IPV6`.
    pub handlers: handlers::ConnectSettings,
}

/// A variable that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SettingsError {
    /// It is not set, or empty.
    #[error("the environment variable {name} is not set; the stack's template sets it")]
    Missing {
        /// The variable.
        name: &'static str,
    },
    /// Its value makes no sense.
    #[error("the environment variable {name} is {value:?}; it must be {expected}")]
    Malformed {
        /// The variable.
        name: &'static str,
        /// Its value.
        value: String,
        /// The values that it may have.
        expected: String,
    },
}

impl Settings {
    /// Reads the settings with `get`, which looks a variable up.
    ///
    /// # Errors
    /// [`SettingsError`] for the first variable that cannot be used.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let optional = |name: &str| get(name).filter(|value| !value.is_empty());
        let required = |name: &'static str| optional(name).ok_or(SettingsError::Missing { name });
        let queue = |name: &'static str| {
            let value = required(name)?;
            let is_url = value.starts_with("https://") || value.starts_with("http://");
            let expected = "the URL of an SQS queue".to_owned();
            if is_url { Ok(value) } else { Err(SettingsError::Malformed { name, value, expected }) }
        };
        Ok(Self {
            connect_key: optional("TAGWIRE_TAG_KEY").unwrap_or_else(|| DEFAULT_CONNECT_KEY.to_owned()),
            group_tags: optional("TAGWIRE_GROUP_TAGS").map_or(Ok(GroupTags::default()), group_tags)?,
            connect_queue: queue("TAGWIRE_CONNECT_QUEUE_URL")?,
            instance_queue: queue("TAGWIRE_INSTANCE_QUEUE_URL")?,
            store_queue: queue("TAGWIRE_STORE_QUEUE_URL")?,
            give_up_after: optional("TAGWIRE_GIVE_UP_AFTER")
                .map_or(Ok(GIVE_UP_AFTER), |value| seconds("TAGWIRE_GIVE_UP_AFTER", value))?,
            state_table: required("TAGWIRE_STATE_TABLE")?,
            handlers: handlers::ConnectSettings {
                mode: mode(required("TAGWIRE_MODE")?)?,
                policy: Policy {
                    interface_group_limit: optional("TAGWIRE_INTERFACE_GROUP_LIMIT")
                        .map_or(Ok(DEFAULT_INTERFACE_GROUP_LIMIT), interface_group_limit)?,
                    max_disconnects: optional("TAGWIRE_MAX_DISCONNECTS")
                        .map_or(Ok(DEFAULT_MAX_DISCONNECTS), |value| number("TAGWIRE_MAX_DISCONNECTS", value))?,
                    disconnect_window: optional("TAGWIRE_DISCONNECT_WINDOW")
                        .map_or(Ok(DEFAULT_DISCONNECT_WINDOW), |value| seconds("TAGWIRE_DISCONNECT_WINDOW", value))?,
                    sweep_period: optional("TAGWIRE_SWEEP_PERIOD")
                        .map_or(Ok(DEFAULT_SWEEP_PERIOD), |value| seconds("TAGWIRE_SWEEP_PERIOD", value))?,
                    isolation_groups: optional("TAGWIRE_ISOLATION_GROUPS")
                        .map_or(Ok(BTreeSet::new()), isolation_groups)?,
                    status_tags: optional("TAGWIRE_STATUS_TAGS")
                        .map_or(Ok(false), |value| switch("TAGWIRE_STATUS_TAGS", value))?,
                    allow_cidr: allow_cidr(optional)?,
                },
            },
        })
    }
}

fn mode(value: String) -> Result<Mode, SettingsError> {
    match value.as_str() {
        "enforce" => Ok(Mode::Enforce),
        "dry-run" => Ok(Mode::DryRun),
        _ => Err(SettingsError::Malformed {
            name: "TAGWIRE_MODE",
            value,
            expected: "\"enforce\" or \"dry-run\"".to_owned(),
        }),
    }
}

fn interface_group_limit(value: String) -> Result<usize, SettingsError> {
    let range = 1..=HIGHEST_INTERFACE_GROUP_LIMIT;
    value.parse().ok().filter(|limit| range.contains(limit)).ok_or_else(|| SettingsError::Malformed {
        name: "TAGWIRE_INTERFACE_GROUP_LIMIT",
        value,
        expected: format!("a whole number from 1 to {HIGHEST_INTERFACE_GROUP_LIMIT}"),
    })
}

fn number(name: &'static str, value: String) -> Result<usize, SettingsError> {
    let expected = || "a whole number, 0 or more".to_owned();
    value.parse().map_err(|_| SettingsError::Malformed { name, value, expected: expected() })
}

fn seconds(name: &'static str, value: String) -> Result<Duration, SettingsError> {
    let seconds = value.parse().ok().filter(|seconds| *seconds > 0).map(Duration::from_secs);
    let expected = "a whole number of seconds, 1 or more".to_owned();
    seconds.ok_or(SettingsError::Malformed { name, value, expected })
}

fn group_tags(value: String) -> Result<GroupTags, SettingsError> {
    GroupTags::read(&value).map_err(|problem| SettingsError::Malformed {
        name: "TAGWIRE_GROUP_TAGS",
        value,
        expected: format!("up to {MOST_GROUP_TAGS} tags, Key=Value with commas between them; {problem}"),
    })
}

/// An isolation group that cannot be read would be one that isolates nothing.
fn isolation_groups(value: String) -> Result<BTreeSet<SecurityGroupId>, SettingsError> {
    let ids = value.split(',').map(str::trim).filter(|id| !id.is_empty()).map(SecurityGroupId::parse);
    let Ok(ids) = ids.collect::<Result<_, _>>() else {
        let expected = "ids of security groups, separated by commas".to_owned();
        return Err(SettingsError::Malformed { name: "TAGWIRE_ISOLATION_GROUPS", value, expected });
    };
    Ok(ids)
}

/// The limits are read also while they limit nothing, so that a mistake shows before it matters.
fn allow_cidr(get: impl Fn(&str) -> Option<String>) -> Result<Option<CidrLimits>, SettingsError> {
    let widest = |name: &'static str, usual: u8, range: RangeInclusive<u8>| {
        let Some(value) = get(name) else { return Ok(usual) };
        value.parse().ok().filter(|length| range.contains(length)).ok_or_else(|| SettingsError::Malformed {
            name,
            value,
            expected: format!("the length of a prefix, from {} to {}", range.start(), range.end()),
        })
    };
    let limits = CidrLimits {
        widest_ipv4: widest("TAGWIRE_WIDEST_IPV4", DEFAULT_WIDEST_IPV4, WIDEST_IPV4)?,
        widest_ipv6: widest("TAGWIRE_WIDEST_IPV6", DEFAULT_WIDEST_IPV6, WIDEST_IPV6)?,
    };
    let allowed = get("TAGWIRE_ALLOW_CIDR").map_or(Ok(false), |value| switch("TAGWIRE_ALLOW_CIDR", value))?;
    Ok(allowed.then_some(limits))
}

fn switch(name: &'static str, value: String) -> Result<bool, SettingsError> {
    match value.as_str() {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(SettingsError::Malformed { name, value, expected: "\"on\" or \"off\"".to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(change: &[(&str, Option<&str>)]) -> Result<Settings, SettingsError> {
        let mut variables = std::collections::BTreeMap::from([
            ("TAGWIRE_CONNECT_QUEUE_URL", "https://sqs/connect.fifo"),
            ("TAGWIRE_INSTANCE_QUEUE_URL", "https://sqs/instances"),
            ("TAGWIRE_STORE_QUEUE_URL", "https://sqs/stores"),
            ("TAGWIRE_STATE_TABLE", "tagwire-state"),
            ("TAGWIRE_MODE", "enforce"),
        ]);
        for (name, value) in change {
            match value {
                Some(value) => variables.insert(name, value),
                None => variables.remove(name),
            };
        }
        Settings::read(|name| variables.get(name).map(|value| (*value).to_owned()))
    }

    #[test]
    fn what_has_a_default_may_be_left_out() {
        let settings = read(&[]).unwrap();
        assert_eq!(settings.connect_key, "tagwire:connect");
        assert_eq!(settings.handlers.policy.interface_group_limit, 5);
        assert_eq!(settings.handlers.mode, Mode::Enforce);
        assert_eq!(settings.give_up_after, Duration::from_hours(24));
    }

    #[test]
    fn what_is_set_is_taken() {
        let settings = read(&[
            ("TAGWIRE_MODE", Some("dry-run")),
            ("TAGWIRE_INTERFACE_GROUP_LIMIT", Some("16")),
            ("TAGWIRE_TAG_KEY", Some("team:db")),
            ("TAGWIRE_GROUP_TAGS", Some("CostCenter=42,Owner=data platform")),
            ("TAGWIRE_GIVE_UP_AFTER", Some("3600")),
            ("TAGWIRE_MAX_DISCONNECTS", Some("0")),
            ("TAGWIRE_DISCONNECT_WINDOW", Some("60")),
            ("TAGWIRE_SWEEP_PERIOD", Some("300")),
            ("TAGWIRE_ISOLATION_GROUPS", Some("sg-1, sg-2")),
            ("TAGWIRE_STATUS_TAGS", Some("on")),
            ("TAGWIRE_ALLOW_CIDR", Some("on")),
            ("TAGWIRE_WIDEST_IPV4", Some("24")),
            ("TAGWIRE_WIDEST_IPV6", Some("56")),
        ])
        .unwrap();
        let policy = &settings.handlers.policy;
        assert_eq!((policy.max_disconnects, policy.disconnect_window), (0, Duration::from_mins(1)));
        assert_eq!((policy.sweep_period, policy.status_tags), (Duration::from_mins(5), true));
        assert_eq!(policy.isolation_groups.len(), 2);
        assert_eq!(policy.allow_cidr, Some(CidrLimits { widest_ipv4: 24, widest_ipv6: 56 }));
        assert_eq!(settings.state_table, "tagwire-state");
        assert_eq!(settings.handlers.mode, Mode::DryRun);
        assert_eq!(settings.handlers.policy.interface_group_limit, 16);
        assert_eq!(settings.connect_key, "team:db");
        let tags: Vec<_> = settings.group_tags.iter().collect();
        assert_eq!(tags, [("CostCenter", "42"), ("Owner", "data platform")]);
        assert_eq!(settings.give_up_after, Duration::from_hours(1));
    }

    #[test]
    fn a_missing_or_empty_variable_is_named() {
        for name in [
            "TAGWIRE_CONNECT_QUEUE_URL",
            "TAGWIRE_INSTANCE_QUEUE_URL",
            "TAGWIRE_STORE_QUEUE_URL",
            "TAGWIRE_STATE_TABLE",
            "TAGWIRE_MODE",
        ] {
            for value in [None, Some("")] {
                assert_eq!(read(&[(name, value)]), Err(SettingsError::Missing { name }));
            }
        }
    }

    #[test]
    fn a_malformed_variable_is_named_with_its_value_and_what_it_must_be() {
        for (name, value) in [
            ("TAGWIRE_MODE", "Enforce"),
            ("TAGWIRE_GROUP_TAGS", "CostCenter"),
            ("TAGWIRE_GROUP_TAGS", "tagwire:side=store"),
            ("TAGWIRE_INTERFACE_GROUP_LIMIT", "0"),
            ("TAGWIRE_INTERFACE_GROUP_LIMIT", "17"),
            ("TAGWIRE_INTERFACE_GROUP_LIMIT", "five"),
            ("TAGWIRE_STORE_QUEUE_URL", "stores"),
            ("TAGWIRE_GIVE_UP_AFTER", "0"),
            ("TAGWIRE_GIVE_UP_AFTER", "24h"),
            ("TAGWIRE_MAX_DISCONNECTS", "-1"),
            ("TAGWIRE_DISCONNECT_WINDOW", "0"),
            ("TAGWIRE_SWEEP_PERIOD", "a while"),
            ("TAGWIRE_ISOLATION_GROUPS", "sg-1,quarantine"),
            ("TAGWIRE_STATUS_TAGS", "yes"),
            ("TAGWIRE_ALLOW_CIDR", "true"),
            ("TAGWIRE_WIDEST_IPV4", "7"),
            ("TAGWIRE_WIDEST_IPV4", "33"),
            ("TAGWIRE_WIDEST_IPV6", "15"),
            ("TAGWIRE_WIDEST_IPV6", "/48"),
        ] {
            let message = read(&[(name, Some(value))]).unwrap_err().to_string();
            assert!(message.contains(name) && message.contains(value), "{message}");
        }
    }
}
