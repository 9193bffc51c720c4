//! The settings of the installation: those of its stack, unless an option or a variable overrides them. A plan made
//! with other settings than the functions' would be another plan.

use std::{collections::BTreeSet, ops::RangeInclusive, str::FromStr, time::Duration};

use clap::{Args, ValueEnum, builder::RangedU64ValueParser, value_parser};
use tagwire_aws::Stack;
use tagwire_core::{
    cidr::{CidrLimits, DEFAULT_WIDEST_IPV4, DEFAULT_WIDEST_IPV6, WIDEST_IPV4, WIDEST_IPV6},
    id::{InvalidId, SecurityGroupId},
    policy::{
        DEFAULT_DISCONNECT_WINDOW, DEFAULT_INTERFACE_GROUP_LIMIT, DEFAULT_MAX_DISCONNECTS, DEFAULT_SWEEP_PERIOD,
        HIGHEST_INTERFACE_GROUP_LIMIT, Mode, Policy,
    },
    tag::DEFAULT_CONNECT_KEY,
};

use crate::error::{CommandError, CommandResult, user_error};

/// Options that override parameters of the stack.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Installation (by default the settings of its stack)")]
pub(crate) struct Overrides {
    /// The stack; without it, the one that has the SSM parameter /tagwire/installation.
    #[arg(long, env = "TAGWIRE_STACK_NAME", global = true, hide_short_help = true)]
    pub(crate) stack_name: Option<String>,
    /// The tag key.
    #[arg(long, env = "TAGWIRE_TAG_KEY", global = true, hide_short_help = true)]
    tag_key: Option<String>,
    /// The name of the state table.
    #[arg(long, env = "TAGWIRE_STATE_TABLE", global = true, hide_short_help = true)]
    state_table: Option<String>,
    /// How many connections of a VPC are removed in one window.
    #[arg(long, env = "TAGWIRE_MAX_DISCONNECTS", global = true, hide_short_help = true)]
    max_disconnects: Option<usize>,
    /// The window, in seconds.
    #[arg(long, env = "TAGWIRE_DISCONNECT_WINDOW", global = true, hide_short_help = true,
        value_parser = value_parser!(u64).range(1..))]
    disconnect_window: Option<u64>,
    /// The time between two sweeps, in seconds.
    #[arg(long, env = "TAGWIRE_SWEEP_PERIOD", global = true, hide_short_help = true,
        value_parser = value_parser!(u64).range(1..))]
    sweep_period: Option<u64>,
    /// Groups of isolation, separated by commas (may be given more than once).
    #[arg(long, env = "TAGWIRE_ISOLATION_GROUPS", global = true, hide_short_help = true, value_delimiter = ',',
        value_parser = parse_group)]
    isolation_group: Option<Vec<Option<SecurityGroupId>>>,
    /// Whether status tags are written.
    #[arg(long, env = "TAGWIRE_STATUS_TAGS", global = true, hide_short_help = true, value_enum)]
    status_tags: Option<Switch>,
    /// Whether a data store's tag may let in clients that are not EC2 instances.
    #[arg(long, env = "TAGWIRE_ALLOW_CIDR", global = true, hide_short_help = true, value_enum)]
    allow_cidr: Option<Switch>,
    /// The widest IPv4 block of such clients, as the length of its prefix.
    #[arg(long, env = "TAGWIRE_WIDEST_IPV4", global = true, hide_short_help = true,
        value_parser = value_parser!(u8).range(prefix_lengths(WIDEST_IPV4)))]
    widest_ipv4: Option<u8>,
    /// The widest IPv6 block of such clients, as the length of its prefix.
    #[arg(long, env = "TAGWIRE_WIDEST_IPV6", global = true, hide_short_help = true,
        value_parser = value_parser!(u8).range(prefix_lengths(WIDEST_IPV6)))]
    widest_ipv6: Option<u8>,
    /// How many security groups a network interface takes in this account.
    #[arg(long, env = "TAGWIRE_INTERFACE_GROUP_LIMIT", global = true, hide_short_help = true,
        value_parser = RangedU64ValueParser::<usize>::new().range(1..=HIGHEST_INTERFACE_GROUP_LIMIT as u64))]
    interface_group_limit: Option<usize>,
}

fn prefix_lengths(range: RangeInclusive<u8>) -> RangeInclusive<i64> {
    i64::from(*range.start())..=i64::from(*range.end())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

impl FromStr for Switch {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        <Self as ValueEnum>::from_str(text, false)
    }
}

/// `None` for an empty text, which the variable holds in an installation without isolation groups.
fn parse_group(text: &str) -> Result<Option<SecurityGroupId>, InvalidId> {
    let text = text.trim();
    if text.is_empty() { Ok(None) } else { SecurityGroupId::parse(text).map(Some) }
}

/// The settings that a command uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Installation {
    /// The tag key.
    pub(crate) tag_key: String,
    /// The state table; without one a plan is made as if the table were empty.
    pub(crate) state_table: Option<String>,
    /// The planner's settings.
    pub(crate) policy: Policy,
    /// Whether plans are carried out; `None` without a stack.
    pub(crate) mode: Option<Mode>,
}

impl Overrides {
    /// Combines the options and the stack's parameters; a setting that neither has is the template's default.
    ///
    /// # Errors
    /// When a parameter of the stack has a value that no stack of tagwire has.
    pub(crate) fn resolve(&self, stack: Option<&Stack>) -> CommandResult<Installation> {
        let parameters = StackParameters { stack };
        let minutes =
            |name| Ok::<_, CommandError>(parameters.read::<u64>(name)?.map(|minutes| minutes.saturating_mul(60)));
        let seconds = |chosen: Option<u64>, of_stack: Option<u64>, usual: Duration| {
            chosen.or(of_stack).map_or(usual, Duration::from_secs)
        };
        let isolation_groups = match &self.isolation_group {
            Some(groups) => groups.iter().flatten().cloned().collect(),
            None => parameters.isolation_groups()?,
        };
        let on = |chosen: Option<Switch>, name| {
            Ok::<_, CommandError>(chosen.or(parameters.read(name)?).is_some_and(|switch| switch == Switch::On))
        };
        let widest = CidrLimits {
            widest_ipv4: self.widest_ipv4.or(parameters.read("WidestIpv4")?).unwrap_or(DEFAULT_WIDEST_IPV4),
            widest_ipv6: self.widest_ipv6.or(parameters.read("WidestIpv6")?).unwrap_or(DEFAULT_WIDEST_IPV6),
        };
        let policy = Policy {
            interface_group_limit: self
                .interface_group_limit
                .or(parameters.read("InterfaceGroupLimit")?)
                .unwrap_or(DEFAULT_INTERFACE_GROUP_LIMIT),
            max_disconnects: self
                .max_disconnects
                .or(parameters.read("MaxDisconnects")?)
                .unwrap_or(DEFAULT_MAX_DISCONNECTS),
            disconnect_window: seconds(
                self.disconnect_window,
                minutes("DisconnectWindowMinutes")?,
                DEFAULT_DISCONNECT_WINDOW,
            ),
            sweep_period: seconds(self.sweep_period, minutes("SweepMinutes")?, DEFAULT_SWEEP_PERIOD),
            isolation_groups,
            status_tags: on(self.status_tags, "StatusTags")?,
            allow_cidr: on(self.allow_cidr, "AllowCidr")?.then_some(widest),
        };
        let of_stack = |name: &str| stack.and_then(|stack| stack.outputs.get(name)).cloned();
        Ok(Installation {
            tag_key: self
                .tag_key
                .clone()
                .or(parameters.read("TagKey")?)
                .unwrap_or_else(|| DEFAULT_CONNECT_KEY.to_owned()),
            state_table: self.state_table.clone().or_else(|| of_stack("StateTableName")),
            policy,
            mode: parameters.mode()?,
        })
    }
}

/// The parameters of the stack, if there is one.
#[derive(Clone, Copy)]
struct StackParameters<'stack> {
    stack: Option<&'stack Stack>,
}

impl<'stack> StackParameters<'stack> {
    fn text(self, name: &str) -> Option<&'stack str> {
        self.stack?.parameters.get(name).map(String::as_str)
    }

    fn read<T: FromStr>(self, name: &str) -> CommandResult<Option<T>> {
        let Some(text) = self.text(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| self.unknown_value(name, text))
    }

    fn isolation_groups(self) -> CommandResult<BTreeSet<SecurityGroupId>> {
        const NAME: &str = "IsolationGroups";
        let Some(text) = self.text(NAME) else { return Ok(BTreeSet::new()) };
        let groups = text.split(',').map(parse_group).collect::<Result<Vec<_>, _>>();
        let groups = groups.map_err(|_| self.unknown_value(NAME, text))?;
        Ok(groups.into_iter().flatten().collect())
    }

    fn mode(self) -> CommandResult<Option<Mode>> {
        Ok(match self.text("Mode") {
            None => None,
            Some("enforce") => Some(Mode::Enforce),
            Some("dry-run") => Some(Mode::DryRun),
            Some(other) => return Err(self.unknown_value("Mode", other)),
        })
    }

    fn unknown_value(self, name: &str, text: &str) -> CommandError {
        let stack = self.stack.map_or("", |stack| &stack.name);
        user_error!("the stack {stack} has the parameter {name}={text:?}, which no stack of tagwire has")
            .hint("choose the stack of tagwire with --stack-name")
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct InstallationCli {
        #[command(flatten)]
        overrides: Overrides,
    }

    fn parse(line: &str) -> Result<Overrides, clap::Error> {
        InstallationCli::try_parse_from(line.split_whitespace()).map(|line| line.overrides)
    }

    fn stack(parameters: &[(&str, &str)]) -> Stack {
        let pairs = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Stack {
            name: "tagwire".to_owned(),
            status: "CREATE_COMPLETE".to_owned(),
            parameters: pairs(parameters),
            outputs: pairs(&[("StateTableName", "table-1")]),
        }
    }

    #[test]
    fn without_options_and_without_a_stack_it_has_the_template_s_defaults() {
        let installation = parse("tagwire").unwrap().resolve(None).unwrap();
        let usual = Installation {
            tag_key: DEFAULT_CONNECT_KEY.to_owned(),
            state_table: None,
            policy: Policy::default(),
            mode: None,
        };
        assert_eq!(installation, usual);
    }

    #[test]
    fn every_option_of_the_installation_reaches_the_planner() {
        let line = "tagwire --max-disconnects 0 --disconnect-window 60 --sweep-period 120 --isolation-group sg-1,sg-2 \
            --isolation-group sg-3 --status-tags on --interface-group-limit 16 --allow-cidr on --widest-ipv4 24 --widest-ipv6 56";
        let policy = Policy {
            interface_group_limit: 16,
            max_disconnects: 0,
            disconnect_window: Duration::from_mins(1),
            sweep_period: Duration::from_mins(2),
            isolation_groups: ["sg-1", "sg-2", "sg-3"].map(|id| SecurityGroupId::parse(id).unwrap()).into(),
            status_tags: true,
            allow_cidr: Some(CidrLimits { widest_ipv4: 24, widest_ipv6: 56 }),
        };
        let against = stack(&[("MaxDisconnects", "3"), ("StatusTags", "off"), ("IsolationGroups", "sg-9")]);
        assert_eq!(parse(line).unwrap().resolve(Some(&against)).unwrap().policy, policy);
    }

    #[test]
    fn every_parameter_of_the_stack_reaches_the_planner() {
        let stack = stack(&[
            ("TagKey", "team:db"),
            ("Mode", "dry-run"),
            ("InterfaceGroupLimit", "16"),
            ("SweepMinutes", "5"),
            ("StatusTags", "on"),
            ("MaxDisconnects", "0"),
            ("DisconnectWindowMinutes", "60"),
            ("IsolationGroups", "sg-1,sg-2"),
            ("AllowCidr", "on"),
            ("WidestIpv4", "24"),
            ("WidestIpv6", "56"),
        ]);
        let expected = Installation {
            tag_key: "team:db".to_owned(),
            state_table: Some("table-1".to_owned()),
            policy: Policy {
                interface_group_limit: 16,
                max_disconnects: 0,
                disconnect_window: Duration::from_hours(1),
                sweep_period: Duration::from_mins(5),
                isolation_groups: ["sg-1", "sg-2"].map(|id| SecurityGroupId::parse(id).unwrap()).into(),
                status_tags: true,
                allow_cidr: Some(CidrLimits { widest_ipv4: 24, widest_ipv6: 56 }),
            },
            mode: Some(Mode::DryRun),
        };
        assert_eq!(parse("tagwire").unwrap().resolve(Some(&stack)).unwrap(), expected);
    }

    #[test]
    fn a_stack_of_somebody_else_is_told_apart() {
        for (name, value) in
            [("Mode", "fast"), ("SweepMinutes", "often"), ("IsolationGroups", "web"), ("AllowCidr", "1")]
        {
            let error = parse("tagwire").unwrap().resolve(Some(&stack(&[(name, value)]))).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(value), "{error}");
        }
        let none = stack(&[("IsolationGroups", "")]);
        assert_eq!(parse("tagwire").unwrap().resolve(Some(&none)).unwrap().policy, Policy::default());
    }

    #[test]
    fn what_the_functions_refuse_is_refused_and_an_empty_list_of_groups_is_one() {
        for refused in [
            "--disconnect-window 0",
            "--sweep-period 0",
            "--interface-group-limit 0",
            "--interface-group-limit 17",
            "--isolation-group i-1",
            "--status-tags yes",
            "--allow-cidr yes",
            "--widest-ipv4 7",
            "--widest-ipv6 129",
        ] {
            assert!(parse(&format!("tagwire {refused}")).is_err(), "{refused}");
        }
        let empty = InstallationCli::try_parse_from(["tagwire", "--isolation-group", ""]).unwrap().overrides;
        let with_one = stack(&[("IsolationGroups", "sg-1")]);
        assert_eq!(empty.resolve(Some(&with_one)).unwrap().policy, Policy::default());
    }
}
