//! Checks whether calls to ElastiCache and Redshift reach EventBridge, which takes a trail.

use serde_json::{Value, json};
use tagwire_aws::{AdvancedSelector, BasicSelector, FieldSelector, Selectors, Trail};
use tagwire_core::service::StoreKind;

use super::{
    check::{Check, CommandTarget, quoted},
    facts::Read,
};

const NAME: &str = "trail";
const MISSED: &str = "caches with nodes and Redshift clusters are noticed by the sweep only";

pub(super) fn judge(trails: &Read<Vec<Trail>>, target: &CommandTarget) -> Check {
    let trails = match trails {
        Ok(trails) => trails,
        Err(error) => {
            return Check::unread(NAME, "whether a trail reports calls to ElastiCache and Redshift", error, target);
        }
    };
    let here: Vec<&Trail> = trails.iter().filter(|trail| trail.multi_region || trail.home == target.region).collect();
    if let Some(good) = here.iter().find(|trail| reports(trail) == Ok(true)) {
        let reach = if good.multi_region { "of every Region" } else { "of this Region" };
        return Check::ok(NAME, format!("{} logs management writes {reach}", good.arn));
    }
    // Fixing a trail is less work than creating one.
    let unknown = here.iter().find_map(|trail| reports(trail).err().map(|error| (trail, error)));
    if let Some((trail, error)) = unknown {
        let what = format!("whether {} reports calls to ElastiCache and Redshift", trail.arn);
        return Check::unread(NAME, &what, error, target);
    }
    let logging = here.iter().find(|trail| trail.logging == Ok(true));
    if let Some((trail, Ok(selectors))) = logging.map(|trail| (trail, &trail.selectors)) {
        let message =
            format!("{} logs, but not every management write of ElastiCache and Redshift, so {MISSED}", trail.arn);
        return Check::warning(NAME, message, widened(trail, selectors, target));
    }
    if let Some(trail) = here.first() {
        let message = format!("{} is switched off and no other trail covers {}, so {MISSED}", trail.arn, target.region);
        let command = format!("cloudtrail start-logging --name {}", quoted(&trail.arn));
        return Check::warning(NAME, message, target.aws_in(&trail.home, &command));
    }
    let others = match trails.len() {
        0 => "there is no trail".to_owned(),
        number => format!("none of {number} trails covers {}", target.region),
    };
    Check::warning(NAME, format!("{others}, so {MISSED}"), made(target))
}

/// The calls that reach EventBridge through a trail only, with their sources as CloudTrail names them.
fn awaited() -> impl Iterator<Item = (String, &'static str)> {
    let rows = StoreKind::ALL.iter().map(|kind| kind.row()).filter(|row| row.api.needs_cloudtrail());
    rows.flat_map(|row| {
        let calls = row.calls.iter().chain(row.api.tag_calls);
        calls.map(|call| (format!("{}.amazonaws.com", row.api.name), *call))
    })
}

/// Whether a trail reports everything that is wanted of it.
fn reports(trail: &Trail) -> Result<bool, &tagwire_engine::cloud::CloudError> {
    if !*trail.logging.as_ref()? {
        return Ok(false);
    }
    Ok(match trail.selectors.as_ref()? {
        Selectors::Basic(selectors) => {
            awaited().all(|(service, _)| selectors.iter().any(|one| one_reports(one, &service)))
        }
        Selectors::Advanced(selectors) => {
            awaited().all(|(service, call)| selectors.iter().any(|selector| lets_through(selector, &service, call)))
        }
    })
}

fn one_reports(selector: &BasicSelector, service: &str) -> bool {
    selector.management
        && matches!(selector.read_write.as_str(), "All" | "WriteOnly")
        && !selector.without.iter().any(|without| without == service)
}

/// Whether an advanced selector lets a call through. A field with a value that differs from call to call counts as no
/// match: nothing may depend on chance.
fn lets_through(selector: &AdvancedSelector, service: &str, call: &str) -> bool {
    let category = selector.fields.iter().any(|field| field.field == "eventCategory");
    category
        && selector.fields.iter().all(|field| match field.field.as_str() {
            "eventCategory" => fits(field, "Management"),
            "readOnly" => fits(field, "false"),
            "eventSource" => fits(field, service),
            "eventName" => fits(field, call),
            "eventType" => fits(field, "AwsApiCall"),
            _ => false,
        })
}

fn fits(field: &FieldSelector, value: &str) -> bool {
    let wanted = [&field.equals, &field.starts_with, &field.ends_with].iter().any(|list| !list.is_empty());
    let found = field.equals.iter().any(|text| value == text)
        || field.starts_with.iter().any(|text| value.starts_with(text.as_str()))
        || field.ends_with.iter().any(|text| value.ends_with(text.as_str()));
    let refused = field.not_equals.iter().any(|text| value == text)
        || field.not_starts_with.iter().any(|text| value.starts_with(text.as_str()))
        || field.not_ends_with.iter().any(|text| value.ends_with(text.as_str()));
    (found || !wanted) && !refused
}

/// The command that adds management writes to a trail's selectors. It repeats the existing ones, because the call
/// replaces all.
fn widened(trail: &Trail, selectors: &Selectors, target: &CommandTarget) -> String {
    let (option, all): (&str, Vec<Value>) = match selectors {
        Selectors::Basic(selectors) => {
            let more = json!({ "ReadWriteType": "WriteOnly", "IncludeManagementEvents": true });
            ("--event-selectors", selectors.iter().map(basic).chain([more]).collect())
        }
        Selectors::Advanced(selectors) => {
            let fields = [("eventCategory", "Management"), ("readOnly", "false")];
            let fields = fields.map(|(field, value)| json!({ "Field": field, "Equals": [value] }));
            let more = json!({ "Name": "Management writes", "FieldSelectors": fields });
            ("--advanced-event-selectors", selectors.iter().map(advanced).chain([more]).collect())
        }
    };
    let all = quoted(&Value::from(all).to_string());
    target.aws_in(
        &trail.home,
        &format!("cloudtrail put-event-selectors --trail-name {} {option} {all}", quoted(&trail.arn)),
    )
}

fn basic(selector: &BasicSelector) -> Value {
    let data = selector.data.iter().map(|(kind, values)| json!({ "Type": kind, "Values": values }));
    json!({
        "ReadWriteType": selector.read_write,
        "IncludeManagementEvents": selector.management,
        "DataResources": data.collect::<Vec<_>>(),
        "ExcludeManagementEventSources": selector.without,
    })
}

fn advanced(selector: &AdvancedSelector) -> Value {
    let field = |field: &FieldSelector| {
        let mut written = json!({ "Field": field.field });
        let lists = [
            ("Equals", &field.equals),
            ("StartsWith", &field.starts_with),
            ("EndsWith", &field.ends_with),
            ("NotEquals", &field.not_equals),
            ("NotStartsWith", &field.not_starts_with),
            ("NotEndsWith", &field.not_ends_with),
        ];
        for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
            if let Some(object) = written.as_object_mut() {
                object.insert(name.to_owned(), json!(list));
            }
        }
        written
    };
    let mut written = json!({ "FieldSelectors": selector.fields.iter().map(field).collect::<Vec<_>>() });
    if let Some(object) = written.as_object_mut().filter(|_| !selector.name.is_empty()) {
        object.insert("Name".to_owned(), json!(selector.name));
    }
    written
}

/// The commands that make a trail, with the bucket that it cannot do without.
fn made(target: &CommandTarget) -> String {
    let (account, region, partition) = (target.account(), target.region.as_str(), target.partition());
    let bucket = format!("tagwire-trail-{account}-{region}");
    let trail = format!("arn:{partition}:cloudtrail:{region}:{account}:trail/tagwire");
    let statement = |action: &str, resource: String, mut condition: Value| {
        if let Some(object) = condition.as_object_mut() {
            object.insert("aws:SourceArn".to_owned(), json!(trail));
        }
        json!({
            "Effect": "Allow", "Principal": { "Service": "cloudtrail.amazonaws.com" }, "Action": action,
            "Resource": resource, "Condition": { "StringEquals": condition },
        })
    };
    let holder = format!("arn:{partition}:s3:::{bucket}");
    let policy = json!({ "Version": "2012-10-17", "Statement": [
        statement("s3:GetBucketAcl", holder.clone(), json!({})),
        statement("s3:PutObject", format!("{holder}/AWSLogs/{account}/*"), json!({ "s3:x-amz-acl": "bucket-owner-full-control" })),
    ] });
    [
        target.aws(&format!("s3 mb s3://{bucket}")),
        target.aws(&format!("s3api put-bucket-policy --bucket {bucket} --policy {}", quoted(&policy.to_string()))),
        target.aws(&format!("cloudtrail create-trail --name tagwire --s3-bucket-name {bucket}")),
        target.aws("cloudtrail start-logging --name tagwire"),
    ]
    .join(" && ")
}

#[cfg(test)]
mod tests {
    use tagwire_engine::cloud::ErrorKind;

    use super::*;
    use crate::commands::doctor::check::{
        CheckLevel,
        tests::{error, plain, target},
    };

    fn basic_of(read_write: &str, management: bool) -> BasicSelector {
        BasicSelector { read_write: read_write.into(), management, data: Vec::new(), without: Vec::new() }
    }

    fn trail(home: &str, multi_region: bool) -> Trail {
        Trail {
            arn: format!("arn:aws:cloudtrail:{home}:1:trail/t"),
            home: home.to_owned(),
            multi_region,
            logging: Ok(true),
            selectors: Ok(Selectors::Basic(vec![basic_of("All", true)])),
        }
    }

    fn field(name: &str, equals: &[&str], not_equals: &[&str]) -> FieldSelector {
        let list = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        FieldSelector {
            field: name.to_owned(),
            equals: list(equals),
            not_equals: list(not_equals),
            ..FieldSelector::default()
        }
    }

    fn with_fields(fields: &[&[FieldSelector]]) -> Trail {
        let selectors = fields.iter().map(|fields| AdvancedSelector { name: "n".into(), fields: fields.to_vec() });
        Trail { selectors: Ok(Selectors::Advanced(selectors.collect())), ..trail("eu-west-1", false) }
    }

    #[test]
    fn a_trail_of_this_region_or_of_all_will_do() {
        for (trail, reach) in [(trail("eu-west-1", false), "this Region"), (trail("us-east-1", true), "every Region")] {
            let check = judge(&Ok(vec![trail]), &target());
            assert_eq!(check.level, CheckLevel::Ok);
            assert!(check.message.contains(reach) && check.fix.is_none(), "{check:?}");
        }
        let elsewhere = judge(&Ok(vec![trail("us-east-1", false)]), &target());
        assert_eq!(
            plain(&elsewhere),
            (
                CheckLevel::Warning,
                "none of 1 trails covers eu-west-1, so caches with nodes and Redshift clusters are noticed by the sweep only"
            )
        );
    }

    #[test]
    fn the_trail_and_its_bucket_are_named_in_the_partition_of_whoever_calls() {
        for partition in ["aws", "aws-cn", "aws-us-gov", "aws-eusc", "aws-iso"] {
            let mut target = target();
            if let Some(identity) = &mut target.identity {
                identity.arn = identity.arn.replace("arn:aws:", &format!("arn:{partition}:"));
            }
            let fix = judge(&Ok(Vec::new()), &target).fix.unwrap();
            for arn in [":s3:::tagwire-trail-", ":cloudtrail:eu-west-1:123456789012:trail/tagwire"] {
                assert!(fix.contains(&format!("\"arn:{partition}{arn}")), "{partition}: {fix}");
            }
            assert_eq!(fix.matches("arn:aws:").count() > 0, partition == "aws", "{fix}");
        }
    }

    #[test]
    fn without_a_trail_one_is_made_with_its_bucket() {
        let check = judge(&Ok(Vec::new()), &target());
        assert!(check.level == CheckLevel::Warning && check.message.starts_with("there is no trail"), "{check:?}");
        let fix = check.fix.unwrap();
        for part in [
            "aws s3 mb s3://tagwire-trail-123456789012-eu-west-1 --region eu-west-1 && ",
            "aws cloudtrail create-trail --name tagwire --s3-bucket-name tagwire-trail-123456789012-eu-west-1",
            "aws cloudtrail start-logging --name tagwire",
            r#""Resource":"arn:aws:s3:::tagwire-trail-123456789012-eu-west-1/AWSLogs/123456789012/*""#,
            r#""aws:SourceArn":"arn:aws:cloudtrail:eu-west-1:123456789012:trail/tagwire""#,
        ] {
            assert!(fix.contains(part), "{part} is not in {fix}");
        }
    }

    #[test]
    fn a_trail_that_is_switched_off_is_switched_on_where_it_is_at_home() {
        let off = Trail { logging: Ok(false), ..trail("us-east-1", true) };
        let check = judge(&Ok(vec![off]), &target());
        assert!(check.level == CheckLevel::Warning && check.message.contains("switched off"), "{check:?}");
        assert_eq!(
            check.fix.as_deref(),
            Some("aws cloudtrail start-logging --name arn:aws:cloudtrail:us-east-1:1:trail/t --region us-east-1")
        );
    }

    #[test]
    fn basic_selectors_have_to_let_management_writes_through_and_keep_what_they_have() {
        let data = vec![("AWS::S3::Object".to_owned(), vec!["arn:aws:s3".to_owned()])];
        let without = vec!["redshift.amazonaws.com".to_owned()];
        for selector in [
            basic_of("ReadOnly", true),
            basic_of("All", false),
            BasicSelector { without, ..basic_of("All", true) },
            BasicSelector { data, ..basic_of("All", false) },
        ] {
            let kept = selector.read_write.clone();
            let narrow = Trail { selectors: Ok(Selectors::Basic(vec![selector.clone()])), ..trail("eu-west-1", false) };
            let check = judge(&Ok(vec![narrow]), &target());
            assert!(
                check.level == CheckLevel::Warning && check.message.contains("not every management write"),
                "{check:?}"
            );
            let fix = check.fix.unwrap();
            assert!(fix.contains("--event-selectors '[{") && fix.contains(r#""ReadWriteType":"WriteOnly""#), "{fix}");
            assert!(fix.contains(&format!(r#""ReadWriteType":"{kept}""#)), "{fix}");
            assert_eq!(fix.contains("AWS::S3::Object"), !selector.data.is_empty());
        }
        let writes =
            Trail { selectors: Ok(Selectors::Basic(vec![basic_of("WriteOnly", true)])), ..trail("eu-west-1", false) };
        assert_eq!(judge(&Ok(vec![writes]), &target()).level, CheckLevel::Ok);
    }

    #[test]
    fn advanced_selectors_are_taken_field_by_field() {
        let management = || field("eventCategory", &["Management"], &[]);
        for good in [
            with_fields(&[&[management()]]),
            with_fields(&[&[management(), field("readOnly", &["false"], &[])]]),
            with_fields(&[&[management(), field("eventSource", &[], &["kms.amazonaws.com"])]]),
            with_fields(&[
                &[management(), field("eventSource", &["redshift.amazonaws.com"], &[])],
                &[management(), field("eventSource", &["elasticache.amazonaws.com"], &[])],
            ]),
        ] {
            assert_eq!(judge(&Ok(vec![good.clone()]), &target()).level, CheckLevel::Ok, "{good:?}");
        }
        for narrow in [
            with_fields(&[&[field("eventCategory", &["Data"], &[])]]),
            with_fields(&[&[management(), field("readOnly", &["true"], &[])]]),
            with_fields(&[&[management(), field("eventSource", &[], &["redshift.amazonaws.com"])]]),
            with_fields(&[&[management(), field("eventName", &["CreateCluster"], &[])]]),
            with_fields(&[&[management(), field("userIdentity.arn", &["arn:aws:iam::1:user/me"], &[])]]),
            with_fields(&[&[field("readOnly", &["false"], &[])]]),
        ] {
            let check = judge(&Ok(vec![narrow.clone()]), &target());
            assert_eq!(check.level, CheckLevel::Warning, "{narrow:?}");
            let fix = check.fix.unwrap();
            assert!(fix.contains("--advanced-event-selectors '[{") && fix.contains("Management writes"), "{fix}");
        }
        let mut starts = management();
        starts.equals.clear();
        starts.starts_with = vec!["Manage".to_owned()];
        assert_eq!(judge(&Ok(vec![with_fields(&[&[starts]])]), &target()).level, CheckLevel::Ok);
    }

    #[test]
    fn what_could_not_be_read_is_said_only_when_nothing_else_will_do() {
        let denied = || error(ErrorKind::Denied, "cloudtrail:GetTrailStatus", "AccessDenied");
        let hidden = Trail { logging: Err(denied()), ..trail("us-east-1", true) };
        let check = judge(&Ok(vec![hidden.clone()]), &target());
        assert!(check.level == CheckLevel::Warning && check.message.contains("cloudtrail:GetTrailStatus"), "{check:?}");
        assert_eq!(judge(&Ok(vec![hidden, trail("eu-west-1", false)]), &target()).level, CheckLevel::Ok);
        let all = judge(&Err(denied()), &target());
        assert!(all.level == CheckLevel::Warning && all.message.starts_with("cannot tell whether a trail"), "{all:?}");
    }
}
