//! What the template tells the functions, read once at start. A variable that is missing or
//! malformed stops the function there, with one line that names it.

use std::{ops::RangeInclusive, time::Duration};

use tagwire_core::{
    policy::{DEFAULT_INTERFACE_GROUP_LIMIT, HIGHEST_INTERFACE_GROUP_LIMIT, Mode, Policy},
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
    /// The URL of the FIFO queue of work: `TAGWIRE_CONNECT_QUEUE_URL`.
    pub connect_queue: String,
    /// The URL of the queue of instance events: `TAGWIRE_INSTANCE_QUEUE_URL`.
    pub instance_queue: String,
    /// The URL of the queue of store events: `TAGWIRE_STORE_QUEUE_URL`.
    pub store_queue: String,
    /// For how long something is looked at again: `TAGWIRE_GIVE_UP_AFTER`, in seconds.
    pub give_up_after: Duration,
    /// What the handlers need: `TAGWIRE_MODE`, `TAGWIRE_INTERFACE_GROUP_LIMIT`.
    pub handlers: handlers::Settings,
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
        /// What it must be.
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
            connect_queue: queue("TAGWIRE_CONNECT_QUEUE_URL")?,
            instance_queue: queue("TAGWIRE_INSTANCE_QUEUE_URL")?,
            store_queue: queue("TAGWIRE_STORE_QUEUE_URL")?,
            give_up_after: optional("TAGWIRE_GIVE_UP_AFTER").map_or(Ok(GIVE_UP_AFTER), give_up_after)?,
            handlers: handlers::Settings {
                mode: mode(required("TAGWIRE_MODE")?)?,
                policy: Policy {
                    interface_group_limit: optional("TAGWIRE_INTERFACE_GROUP_LIMIT")
                        .map_or(Ok(DEFAULT_INTERFACE_GROUP_LIMIT), interface_group_limit)?,
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

/// In seconds; fourteen days are the longest that SQS keeps a message.
const GIVE_UP_RANGE: RangeInclusive<u64> = 1..=1_209_600;

fn give_up_after(value: String) -> Result<Duration, SettingsError> {
    let seconds = value.parse().ok().filter(|seconds| GIVE_UP_RANGE.contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(|| SettingsError::Malformed {
        name: "TAGWIRE_GIVE_UP_AFTER",
        value,
        expected: format!("a number of seconds from {} to {}", GIVE_UP_RANGE.start(), GIVE_UP_RANGE.end()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(change: &[(&str, Option<&str>)]) -> Result<Settings, SettingsError> {
        let mut variables = std::collections::BTreeMap::from([
            ("TAGWIRE_CONNECT_QUEUE_URL", "https://sqs/connect.fifo"),
            ("TAGWIRE_INSTANCE_QUEUE_URL", "https://sqs/instances"),
            ("TAGWIRE_STORE_QUEUE_URL", "https://sqs/stores"),
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
            ("TAGWIRE_GIVE_UP_AFTER", Some("3600")),
        ])
        .unwrap();
        assert_eq!(settings.handlers.mode, Mode::DryRun);
        assert_eq!(settings.handlers.policy.interface_group_limit, 16);
        assert_eq!(settings.connect_key, "team:db");
        assert_eq!(settings.give_up_after, Duration::from_hours(1));
    }

    #[test]
    fn a_missing_or_empty_variable_is_named() {
        for name in
            ["TAGWIRE_CONNECT_QUEUE_URL", "TAGWIRE_INSTANCE_QUEUE_URL", "TAGWIRE_STORE_QUEUE_URL", "TAGWIRE_MODE"]
        {
            for value in [None, Some("")] {
                assert_eq!(read(&[(name, value)]), Err(SettingsError::Missing { name }));
            }
        }
    }

    #[test]
    fn a_malformed_variable_is_named_with_its_value_and_what_it_must_be() {
        for (name, value) in [
            ("TAGWIRE_MODE", "Enforce"),
            ("TAGWIRE_INTERFACE_GROUP_LIMIT", "0"),
            ("TAGWIRE_INTERFACE_GROUP_LIMIT", "17"),
            ("TAGWIRE_INTERFACE_GROUP_LIMIT", "five"),
            ("TAGWIRE_STORE_QUEUE_URL", "stores"),
            ("TAGWIRE_GIVE_UP_AFTER", "0"),
            ("TAGWIRE_GIVE_UP_AFTER", "24h"),
        ] {
            let said = read(&[(name, Some(value))]).unwrap_err().to_string();
            assert!(said.contains(name) && said.contains(value), "{said}");
        }
    }
}
