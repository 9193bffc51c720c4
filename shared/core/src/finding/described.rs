//! The wording of each reason in one place: its code, its sentence, a person's
//! way out, and whether it passes by itself.

use std::{collections::BTreeSet, fmt};

use super::Reason;
use crate::{
    cidr::{Block, CidrPeer, MOST_RULES, WIDEST_BLOCKS},
    group::{MANAGED_BY, MANAGED_BY_KEY},
    id::{SecurityGroupId, StoreArn},
    observation::Gap,
    policy::HIGHEST_INTERFACE_GROUP_LIMIT,
    rule::Rule,
    service::turn_vpc_networking_on,
    state::MOST_TIMES_AGAIN,
    tag::MOST_NAMES,
};

/// The wording of a reason.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wording {
    /// The stable code.
    code: &'static str,
    /// The sentence about the subject.
    sentence: String,
    /// A person's way out, which may be that there is nothing to do.
    hint: String,
    /// Whether another look may find another answer with nobody doing anything.
    passes: bool,
}

impl Wording {
    fn passing(mut self, passes: bool) -> Self {
        self.passes = passes;
        self
    }
}

/// A reason that stays until somebody acts on it.
fn described(code: &'static str, sentence: impl Into<String>, hint: impl Into<String>) -> Wording {
    Wording { code, sentence: sentence.into(), hint: hint.into(), passes: false }
}

fn too_wide(peer: &CidrPeer, block: Block, limit: u8) -> String {
    let what =
        if *peer == CidrPeer::Block(block) { format!("{block}") } else { format!("{peer} holds {block}, which") };
    if block.stands_for_ipv4() {
        return format!("{what} has addresses that stand for addresses of IPv4");
    }
    format!("{what} is wider than the /{limit} that this installation lets in")
}

const UNCHANGED_BY_TAG: &str = "nothing is added or removed because of the tag";

impl Reason {
    /// The reason for a decision that a gap leaves open.
    #[must_use]
    pub fn unread(gap: &Gap) -> Self {
        Self::Unread { gap: Box::new(gap.clone()) }
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.described().code
    }

    /// Whether another look may find another answer in a while, with nobody doing anything.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.described().passes
    }

    /// A person's way out, which may be that there is nothing to do.
    #[must_use]
    pub fn hint(&self) -> String {
        self.described().hint
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each reason")]
    fn described(&self) -> Wording {
        match self {
            Self::InvalidTag { problem } => described(
                "invalid-tag",
                format!("the connect tag cannot be read: {problem}; nothing is added or removed because of it"),
                format!(
                    "correct the connect tag: names of letters, digits, '.', '_' and '-', separated by spaces, at most {MOST_NAMES}"
                ),
            ),
            Self::Blocked => described(
                "blocked",
                "it carries tagwire:block or has an isolation group, so it gets no connection",
                "take tagwire:block off it, or the isolation group",
            ),
            Self::Held => described(
                "held",
                "it carries tagwire:hold, so nothing is attached or detached",
                "take tagwire:hold off it",
            ),
            Self::DifferentVpc { name, store, vpc } => described(
                "different-vpc",
                format!(
                    "no data store in its VPC has the name {name}; {store} has it, but in {vpc}, and a pair cannot cross VPCs"
                ),
                "move one of the two into the VPC of the other, or connect the VPCs by other means",
            ),
            Self::NoMatch { names } if names.is_empty() => {
                described("no-match", "its connect tag holds no names", "put a name into its connect tag")
            }
            Self::NoMatch { names } => described(
                "no-match",
                format!("nothing on the other side shares the name {}", words(names)),
                format!(
                    "put one of these names into the connect tag of the other side, in this VPC: {}; upper and lower case differ",
                    words(names)
                ),
            ),
            Self::InstanceGone => described(
                "instance-gone",
                "the instance is shutting down or gone",
                "nothing: start another instance with the connect tag",
            ),
            Self::ManagedInstance { operator } => described(
                "managed-instance",
                format!("{operator} manages the instance, and nobody else may change its network interfaces"),
                format!(
                    "give the instances that {operator} starts a security group of your own, and a rule for that in the data store's own group; or take the connect tag off"
                ),
            ),
            Self::StoreGone => described(
                "store-gone",
                "there is no such data store",
                "check the ARN: one that was renamed has another",
            ),
            Self::NotAvailable { state, passing: true } => described(
                "not-available",
                format!("its state is {state:?}, in which its groups cannot be changed; it is looked at again"),
                "nothing while the state passes; start it if it is stopped, resume it if it is paused",
            )
            .passing(true),
            Self::NotAvailable { state, passing: false } => described(
                "not-available",
                format!("its state is {state:?}, which no change of groups will be accepted in any more"),
                "nothing: use another data store",
            ),
            Self::ListChanging { groups } => described(
                "list-changing",
                format!("{} is still on its way into its list of groups; it is looked at again", words(groups)),
                "nothing: it is looked at again",
            )
            .passing(true),
            Self::ServerlessV1 => described(
                "serverless-v1",
                "Aurora Serverless v1 clusters cannot be connected",
                "migrate it to Aurora Serverless v2 or to a provisioned cluster",
            ),
            Self::GlobalDatabase { global } => described(
                "global-database",
                format!("it is a member of the Aurora global database {global}, which cannot be connected"),
                format!("connect it by hand: tagwire leaves the members of {global} alone"),
            ),
            Self::ClusterMember { cluster } => described(
                "cluster-member",
                format!("it belongs to {cluster}, which is connected as a whole: put the tag there"),
                format!("put the connect tag on {cluster}, and take it off here"),
            ),
            Self::NoVpcNetworking { cluster } => described(
                "no-vpc-networking",
                "its VPC networking is turned off, so it is in no VPC and has no security groups: turn it on",
                turn_vpc_networking_on(cluster),
            ),
            Self::PublicEndpoint => described(
                "public-endpoint",
                "it has a public endpoint, so it is in no VPC and has no security groups",
                "make another one whose connection type is vpc in its place: that of an existing one cannot be changed",
            ),
            Self::Ec2Classic => described(
                "ec2-classic",
                "it is in no VPC, where no security group can connect it: move it into one",
                "move it into a VPC",
            ),
            Self::NetworkNotShown { state } => described(
                "network-not-shown",
                format!("its state is {state:?}, and still AWS shows no VPC of it; it is looked at in each sweep"),
                "nothing if it is new; else look whether it has a node and a subnet group, and ask AWS Support",
            ),
            Self::NoEndpoint { state } => described(
                "no-endpoint",
                format!(
                    "its state is {state:?}, and still AWS shows no port that it listens on; it is looked at in each sweep"
                ),
                "nothing if it is new; else look whether it has an endpoint, and ask AWS Support",
            ),
            Self::GroupsNotShown { state } => described(
                "groups-not-shown",
                format!(
                    "its state is {state:?}, and still AWS shows no security group that it has, so its list is left alone; it is looked at in each sweep"
                ),
                "nothing if it is new; else give it a security group of yours",
            ),
            Self::StoreGroupLimit { limit } => described(
                "store-group-limit",
                format!(
                    "its {limit} places for security groups are all taken, and no quota raises that: remove a group from it"
                ),
                format!("take a group that is not tagwire's off the data store, which takes {limit}"),
            ),
            Self::InterfaceGroupLimit { interface, limit } => described(
                "interface-group-limit",
                format!(
                    "{interface} has no free place: it takes {limit} security groups (raise quota L-2AFB9258, and the InterfaceGroupLimit parameter with it)"
                ),
                format!(
                    "take a group that is not tagwire's off {interface}, or raise quota L-2AFB9258 and then the InterfaceGroupLimit parameter, up to {HIGHEST_INTERFACE_GROUP_LIMIT}"
                ),
            ),
            Self::AmbiguousPair { groups } => described(
                "ambiguous-pair",
                format!(
                    "more than one owned pair belongs to it ({}): the lowest number serves, the others need a person",
                    words(groups)
                ),
                keep_one(groups),
            ),
            Self::OwnershipForged { forgery } => described(
                "ownership-forged",
                format!("it carries tagwire's tags but is not tagwire's: {forgery}; it is left alone"),
                "take tagwire's tags off it, and find out who put them on",
            ),
            Self::IdentityConflict { group, store, unmarked: false } => described(
                "identity-conflict",
                format!(
                    "the tags of {group} say something else than its description and the state table, which bind it to {store}; these are believed, and tagwire puts the tags back"
                ),
                format!("find out in CloudTrail who changed the tags of {group}, and take the permission from them"),
            ),
            Self::IdentityConflict { group, store, unmarked: true } => described(
                "identity-conflict",
                format!(
                    "{group} has lost the tag {MANAGED_BY_KEY}={MANAGED_BY}, without which tagwire's role may not change it; its description and the state table bind it to {store}, so nobody new gets it, it is neither repaired nor deleted, and whoever is not entitled to it any more still loses it"
                ),
                format!(
                    "aws ec2 create-tags --resources {group} --tags Key={MANAGED_BY_KEY},Value={MANAGED_BY}; the next sweep puts the other tags back. Then find out in CloudTrail who took it off"
                ),
            ),
            Self::IdentityUnproven { doubt } => described(
                "identity-unproven",
                format!(
                    "it has a name, a description and tags of tagwire's, but {doubt}; it is not taken for tagwire's, so it is never attached, changed or deleted, and only a block takes it off"
                ),
                "delete it if nobody uses it: somebody made it by hand; if the state table was lost, see the section on that in docs/operating.md",
            ),
            Self::PairModified { extra, incomplete } => described(
                "pair-modified",
                modified(extra, *incomplete),
                "find out who changed it, and give that traffic a group of its own",
            ),
            Self::CrossAz { instance_zone, store_zones } => described(
                "cross-az",
                format!(
                    "it is in {instance_zone} and the data store in {}: traffic between them may cost",
                    words(store_zones)
                ),
                "nothing, or move one of the two into the zone of the other",
            ),
            Self::DisconnectsHeldBack { waiting, limit, window } => described(
                "disconnects-held-back",
                format!(
                    "{} to be removed, but at most {limit} of a VPC are in {window} seconds; the data stores take turns in the next sweeps, the oldest first: if the tags were taken away by mistake, put them back and nothing more is lost",
                    if *waiting == 1 {
                        "1 connection more is".to_owned()
                    } else {
                        format!("{waiting} more connections are")
                    }
                ),
                "put the tags back if it was a mistake; else wait, or deploy with a higher MaxDisconnects until it is done",
            ),
            Self::Contested { group } => described(
                "contested",
                format!(
                    "{group} was attached again {MOST_TIMES_AGAIN} times in a day and was taken off each time; something else manages that list of groups, so it is left alone until the connect tag there changes"
                ),
                format!(
                    "have whatever else manages that list leave {group} in it; then take the connect tag off, wait for a sweep, and put it on again"
                ),
            ),
            Self::ForeignAttachment { holder } => described(
                "foreign-attachment",
                format!(
                    "{holder} has it, which tagwire did not attach as far as it knows, and does not take away; it can reach what the group reaches"
                ),
                format!("take it off {holder}, or give that client a group and a rule of its own"),
            ),
            Self::CopiedGroup { group, of, carrier, rest } => described(
                "copied-group",
                format!(
                    "it has {group}, which was made for {}: whoever may reach that one reaches this one as well, whatever its own tags say; it takes no part, so its list is left alone",
                    source(of.as_ref())
                ),
                let_go(carrier, group, rest),
            ),
            Self::CopiedGroupLeaving { group, of } => described(
                "copied-group-leaving",
                format!(
                    "it has {group}, which was made for {}; that leaves in a sweep when everybody who shares a name with it reaches it by its own pair and nothing is on hold",
                    source(of.as_ref())
                ),
                "nothing, unless a connection of it is refused or something is on hold: then see to that",
            ),
            Self::CopyRemains { interface, instance } => described(
                "copy-remains",
                format!(
                    "{interface} of {instance} has it, and the primary interface does not: the network plugin that copied it there takes it off within a minute"
                ),
                format!(
                    "nothing; if it stays, {interface} has it from the plugin's own configuration (an ENIConfig): take it out there, or delete {interface} when {instance} is gone and left it behind"
                ),
            )
            .passing(true),
            Self::InterfaceLeftOver { interface } => described(
                "interface-left-over",
                format!(
                    "no instance has {interface} any more, and it is the only security group there, where AWS takes no empty list"
                ),
                format!("delete {interface}, or add another group to it"),
            ),
            Self::DefaultGroupAttached { group } => described(
                "default-group-attached",
                format!(
                    "it has {group}, the default group of its VPC: whoever else has that may reach it, whatever the tags say"
                ),
                format!(
                    "give it a group of your own in place of {group}; when a cluster moves to another subnet group, name its groups in the same request, or it gets the default group"
                ),
            ),
            Self::LastGroup { group } => described(
                "last-group",
                format!(
                    "{group} is the only security group left there, and AWS takes no empty list: add another group"
                ),
                format!("add another group beside {group}"),
            ),
            Self::GroupInLaunchTemplate => described(
                "group-in-launch-template",
                "nobody uses it, but a launch template names it, and would no longer launch without it",
                "take it out of the launch template, in its default and its latest version",
            ),
            Self::GroupInRule { group } => described(
                "group-in-rule",
                format!("nobody uses it, but a rule of {group} names it, and AWS deletes no group that a rule names"),
                format!("take the rule that names it out of {group}"),
            ),
            Self::OwnershipLost => described(
                "ownership-lost",
                "it has a name and description of tagwire's and neither its tags nor a record in the state table; only a block takes it off",
                "delete it if nobody uses it; if the state table was lost, see the section on that in docs/operating.md",
            ),
            Self::StoreUnknown { store } => described(
                "store-unknown",
                format!("it is unknown whether its data store {store} still exists; it is left alone"),
                format!("if {store} is gone for certain, remove its groups by hand"),
            ),
            Self::StoreMoved { vpc } => described(
                "store-moved",
                format!("it is in {vpc} now, where its pair cannot follow; nothing is removed because of that"),
                format!("connect instances of {vpc} there; remove the old groups by hand"),
            ),
            Self::StillAttached { group } => described(
                "still-attached",
                format!(
                    "there is no such data store, but its group {group} is still attached to something; nothing is removed"
                ),
                format!("wait if it is still being deleted; else take {group} off what carries it"),
            ),
            Self::InvalidCidr { problem } => described(
                "invalid-cidr",
                format!(
                    "its tag tagwire:allow-cidr cannot be read: {problem}; nothing is added or removed because of it"
                ),
                "correct tagwire:allow-cidr: blocks such as 203.0.113.0/24 or prefix lists, separated by spaces",
            ),
            Self::AmbiguousCidrGroup { groups } => described(
                "ambiguous-cidr-group",
                format!(
                    "more than one owned group for CIDR clients belongs to it ({}): the lowest number serves, the others need a person",
                    words(groups)
                ),
                keep_one(groups),
            ),
            Self::CidrModified { extra } => described(
                "cidr-modified",
                format!("it holds rules that tagwire never writes there ({}); taken away", words(extra)),
                "find out who changed it, and give that traffic a group of its own",
            ),
            Self::CidrNotAllowed => described(
                "cidr-not-allowed",
                "it has clients that are not EC2 instances, which this installation does not let in (AllowCidr); nothing is added, and existing rules are left alone",
                "deploy with AllowCidr=on, or take tagwire:allow-cidr off it",
            ),
            Self::CidrTooWide { peer, block, limit } => described(
                "cidr-too-wide",
                format!("{}; {UNCHANGED_BY_TAG}", too_wide(peer, *block, *limit)),
                format!("name the networks that the clients are really in, none wider than /{limit}"),
            ),
            Self::CidrWidened { peer, block, limit } => described(
                "cidr-widened",
                format!("{}, and is let in already: it stays so until somebody acts", too_wide(peer, *block, *limit)),
                format!("take {block} out of {peer}, or {peer} out of tagwire:allow-cidr"),
            ),
            Self::CidrSumLimit { family, wanted, limit } => described(
                "cidr-sum-limit",
                format!(
                    "its blocks and prefix lists let in as many {family} addresses as {wanted} blocks of /{limit}, and {WIDEST_BLOCKS} are the most; {UNCHANGED_BY_TAG}"
                ),
                "name the networks that the clients are really in",
            ),
            Self::PrefixListForeign { list, owner } => described(
                "prefix-list-foreign",
                format!(
                    "{list} belongs to {owner} and not to this account, so somebody else could change what it lets in; {UNCHANGED_BY_TAG}"
                ),
                format!("make a prefix list of this account in place of {list}"),
            ),
            Self::PrefixListNotFound { list } => described(
                "prefix-list-not-found",
                format!("there is no {list} here; {UNCHANGED_BY_TAG}"),
                format!("correct {list}: there is no such prefix list"),
            ),
            Self::CidrRuleLimit { family, wanted } => described(
                "cidr-rule-limit",
                format!(
                    "its blocks and prefix lists count as {wanted} rules for {family}, and a group takes {MOST_RULES} (quota Inbound or outbound rules per security group, L-0EA8095F; a prefix list counts with the most entries it may have); {UNCHANGED_BY_TAG}"
                ),
                "name wider blocks, or lower the most entries of a prefix list",
            ),
            Self::MoreThanWindow { carried, limit } => described(
                "more-than-window",
                format!(
                    "{carried} connections end with its store side and cannot be taken away one by one, and at most {limit} of a VPC are in a window: it stays until somebody acts"
                ),
                "take the store side off the data store by hand, or the instance side off those of these clients that reach no copy by it; or deploy with a higher MaxDisconnects until it is done",
            ),
            Self::LetInElsewhere { group, by } => described(
                "let-in-elsewhere",
                format!(
                    "{by} of another data store has a rule that lets in {group}, so that whoever gets that would reach the other data store as well"
                ),
                format!(
                    "wait for the next sweep, which takes the rule out of {by} unless something holds it; or take it out by hand"
                ),
            ),
            Self::Uninstalling => described(
                "uninstalling",
                "tagwire is being uninstalled from its VPC, so nothing is connected there (`tagwire uninstall --cancel` undoes that)",
                "tagwire uninstall --cancel",
            ),
            Self::Unread { gap } => described(
                "unread",
                format!("something could not be read, so nothing is decided on it: {gap}"),
                if gap.passing {
                    "nothing: it is read again".to_owned()
                } else {
                    format!("let the caller make this call: {}", gap.reading())
                },
            )
            .passing(gap.passing),
            Self::PlanRejected { problem } => described(
                "plan-rejected",
                format!("the planner decided something here that no plan may do, and it was left out: {problem}"),
                "report it: it is a defect of tagwire",
            ),
        }
    }
}

fn source(of: Option<&StoreArn>) -> String {
    of.map_or_else(|| "another data store".to_owned(), StoreArn::short)
}

/// How the owner of a copy takes the group of its source off it.
fn let_go(carrier: &StoreArn, group: &SecurityGroupId, rest: &BTreeSet<SecurityGroupId>) -> String {
    if rest.is_empty() {
        return format!(
            "give it another group in place of {group}, which is its only one, or put the connect tag on it"
        );
    }
    let rest = rest.iter().map(SecurityGroupId::as_str).collect::<Vec<_>>().join(" ");
    format!("{} {rest}", carrier.kind().row().replace_groups(carrier.name()))
}

fn keep_one(groups: &BTreeSet<SecurityGroupId>) -> String {
    format!("of {}, take off and delete what is not used, until one is left of each kind", words(groups))
}

fn modified(extra: &BTreeSet<Rule>, incomplete: bool) -> String {
    let extra = (!extra.is_empty()).then(|| format!("it holds rules that are not the pair's ({})", words(extra)));
    match (extra, incomplete) {
        (Some(extra), true) => format!("{extra} and lacks the pair's; it is repaired"),
        (Some(extra), false) => format!("{extra}; it is repaired"),
        (None, true) => "it lacks the pair's rule; it is repaired".to_owned(),
        (None, false) => "; it is repaired".to_owned(),
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.described().sentence)
    }
}

fn words<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}
