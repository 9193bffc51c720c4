//! CloudTrail: the trails through which calls reach EventBridge, and the events that each lets through.

use aws_config::SdkConfig;
use aws_sdk_cloudtrail::{
    Client,
    types::{self as cloudtrail, ReadWriteType},
};
use tagwire_engine::cloud::CloudError;

use crate::{call::Call, reading::at_once};

/// A trail that this Region can see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trail {
    /// Its ARN.
    pub arn: String,
    /// The Region that it was made in, and where it is changed.
    pub home: String,
    /// Whether it covers every Region.
    pub multi_region: bool,
    /// Whether it is switched on.
    pub logging: Result<bool, CloudError>,
    /// The events that it lets through.
    pub selectors: Result<Selectors, CloudError>,
}

/// The selectors of a trail. An event passes when it passes one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selectors {
    /// The older kind.
    Basic(Vec<BasicSelector>),
    /// The newer kind.
    Advanced(Vec<AdvancedSelector>),
}

/// A selector of the older kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BasicSelector {
    /// `All`, `ReadOnly` or `WriteOnly`.
    pub read_write: String,
    /// Whether it lets management events through.
    pub management: bool,
    /// Types of data resources with their values, in the order of the answer.
    pub data: Vec<(String, Vec<String>)>,
    /// Services whose management events it leaves out.
    pub without: Vec<String>,
}

/// A selector of the newer kind: all its fields have to fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdvancedSelector {
    /// Its name; empty when it has none.
    pub name: String,
    /// Its fields.
    pub fields: Vec<FieldSelector>,
}

/// The values that a field of an event must or must not have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldSelector {
    /// The field: `eventCategory`.
    pub field: String,
    /// It is one of these.
    pub equals: Vec<String>,
    /// It begins with one of these.
    pub starts_with: Vec<String>,
    /// It ends with one of these.
    pub ends_with: Vec<String>,
    /// It is none of these.
    pub not_equals: Vec<String>,
    /// It begins with none of these.
    pub not_starts_with: Vec<String>,
    /// It ends with none of these.
    pub not_ends_with: Vec<String>,
}

/// The trails that this Region can see, those of the organization and of other Regions among them.
///
/// # Errors
/// CloudTrail's refusal to list them. The failure of a call about a single trail is in the trail.
pub async fn trails(config: &SdkConfig) -> Result<Vec<Trail>, CloudError> {
    let client = Client::new(config);
    let call = Call::reading("cloudtrail:DescribeTrails", "the trails of this Region");
    let answer = client.describe_trails().send().await.map_err(|error| call.failed(&error))?;
    Ok(at_once(answer.trail_list().iter().map(|raw| trail(&client, raw))).await)
}

async fn trail(client: &Client, raw: &cloudtrail::Trail) -> Trail {
    // Only by its ARN is a trail of another Region or account found.
    let arn = raw.trail_arn().or(raw.name()).unwrap_or_default().to_owned();
    let (logging, selectors) = futures_util::join!(logging(client, &arn), selectors(client, &arn));
    Trail {
        home: raw.home_region().unwrap_or_default().to_owned(),
        multi_region: raw.is_multi_region_trail().unwrap_or(false),
        logging,
        selectors,
        arn,
    }
}

async fn logging(client: &Client, arn: &str) -> Result<bool, CloudError> {
    let call = Call::reading("cloudtrail:GetTrailStatus", arn);
    let answer = client.get_trail_status().name(arn).send().await.map_err(|error| call.failed(&error))?;
    Ok(answer.is_logging().unwrap_or(false))
}

async fn selectors(client: &Client, arn: &str) -> Result<Selectors, CloudError> {
    let call = Call::reading("cloudtrail:GetEventSelectors", arn);
    let answer = client.get_event_selectors().trail_name(arn).send().await.map_err(|error| call.failed(&error))?;
    Ok(if answer.advanced_event_selectors().is_empty() {
        Selectors::Basic(answer.event_selectors().iter().map(basic).collect())
    } else {
        Selectors::Advanced(answer.advanced_event_selectors().iter().map(advanced).collect())
    })
}

fn basic(raw: &cloudtrail::EventSelector) -> BasicSelector {
    let data = raw.data_resources().iter();
    BasicSelector {
        read_write: raw.read_write_type().unwrap_or(&ReadWriteType::All).as_str().to_owned(),
        management: raw.include_management_events().unwrap_or(true),
        data: data.map(|data| (data.r#type().unwrap_or_default().to_owned(), data.values().to_vec())).collect(),
        without: raw.exclude_management_event_sources().to_vec(),
    }
}

fn advanced(raw: &cloudtrail::AdvancedEventSelector) -> AdvancedSelector {
    let field = |raw: &cloudtrail::AdvancedFieldSelector| FieldSelector {
        field: raw.field().to_owned(),
        equals: raw.equals().to_vec(),
        starts_with: raw.starts_with().to_vec(),
        ends_with: raw.ends_with().to_vec(),
        not_equals: raw.not_equals().to_vec(),
        not_starts_with: raw.not_starts_with().to_vec(),
        not_ends_with: raw.not_ends_with().to_vec(),
    };
    AdvancedSelector {
        name: raw.name().unwrap_or_default().to_owned(),
        fields: raw.field_selectors().iter().map(field).collect(),
    }
}

#[cfg(test)]
mod tests {
    use tagwire_engine::cloud::ErrorKind;

    use super::*;
    use crate::testing::Script;

    const TRAILS: &str = r#"{"trailList":[
        {"Name":"all","TrailARN":"arn:aws:cloudtrail:us-east-1:123456789012:trail/all","HomeRegion":"us-east-1","IsMultiRegionTrail":true},
        {"Name":"here","TrailARN":"arn:aws:cloudtrail:eu-west-1:123456789012:trail/here","HomeRegion":"eu-west-1","IsMultiRegionTrail":false}
    ]}"#;

    #[tokio::test]
    async fn every_trail_comes_with_its_state_and_what_it_lets_through() {
        let basic = r#"{"EventSelectors":[{"ReadWriteType":"WriteOnly","IncludeManagementEvents":true,"DataResources":[{"Type":"AWS::S3::Object","Values":["arn:aws:s3"]}],"ExcludeManagementEventSources":["kms.amazonaws.com"]}]}"#;
        let advanced = r#"{"AdvancedEventSelectors":[{"Name":"writes","FieldSelectors":[{"Field":"eventCategory","Equals":["Management"]},{"Field":"eventSource","NotEquals":["kms.amazonaws.com"]}]}]}"#;
        let script = Script::default()
            .to("DescribeTrails", 200, TRAILS)
            .to(r#"GetTrailStatus {"Name":"arn:aws:cloudtrail:us-east-1"#, 200, r#"{"IsLogging":true}"#)
            .to("GetTrailStatus", 200, r#"{"IsLogging":false}"#)
            .to(r#"GetEventSelectors {"TrailName":"arn:aws:cloudtrail:us-east-1"#, 200, basic)
            .to("GetEventSelectors", 200, advanced);
        let [all, here] = trails(&script.config()).await.unwrap().try_into().unwrap();
        assert_eq!((all.home.as_str(), all.multi_region, all.logging), ("us-east-1", true, Ok(true)));
        let expected = BasicSelector {
            read_write: "WriteOnly".into(),
            management: true,
            data: vec![("AWS::S3::Object".into(), vec!["arn:aws:s3".into()])],
            without: vec!["kms.amazonaws.com".into()],
        };
        assert_eq!(all.selectors, Ok(Selectors::Basic(vec![expected])));
        assert_eq!((here.home.as_str(), here.multi_region, here.logging), ("eu-west-1", false, Ok(false)));
        let fields = vec![
            FieldSelector {
                field: "eventCategory".into(),
                equals: vec!["Management".into()],
                ..FieldSelector::default()
            },
            FieldSelector {
                field: "eventSource".into(),
                not_equals: vec!["kms.amazonaws.com".into()],
                ..FieldSelector::default()
            },
        ];
        let expected = AdvancedSelector { name: "writes".into(), fields };
        assert_eq!(here.selectors, Ok(Selectors::Advanced(vec![expected])));
    }

    #[tokio::test]
    async fn what_is_refused_of_one_trail_leaves_the_rest() {
        let denied = r#"{"__type":"AccessDeniedException","message":"no"}"#;
        let script = Script::default()
            .to("DescribeTrails", 200, TRAILS)
            .to("GetTrailStatus", 400, denied)
            .to("GetTrailStatus", 200, r#"{"IsLogging":true}"#)
            .to("GetEventSelectors", 200, r#"{"EventSelectors":[{}]}"#)
            .to("GetEventSelectors", 400, denied);
        let [all, here] = trails(&script.config()).await.unwrap().try_into().unwrap();
        assert_eq!(all.logging.unwrap_err().kind, ErrorKind::Denied);
        let Ok(Selectors::Basic(usual)) = all.selectors else { panic!("{:?}", all.selectors) };
        assert_eq!(
            (usual[0].read_write.as_str(), usual[0].management),
            ("All", true),
            "as CloudTrail has it by default"
        );
        assert_eq!((here.logging, here.selectors.unwrap_err().call), (Ok(true), "cloudtrail:GetEventSelectors"));

        let script = Script::default().then(400, denied);
        let error = trails(&script.config()).await.unwrap_err();
        assert_eq!((error.kind, error.call), (ErrorKind::Denied, "cloudtrail:DescribeTrails"));
    }
}
