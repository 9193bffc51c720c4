//! `--profile` is the account that a command acts on, whatever else the environment offers.

use std::{fs, path::PathBuf};

use crate::{
    endpoint::{Endpoint, SIGNED_IN},
    tagwire, text,
};

/// Shared AWS files of one test.
struct Home(PathBuf);

impl Home {
    fn with(config: &str) -> Self {
        let home = std::env::temp_dir().join(format!(
            "tagwire-profile-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        fs::create_dir_all(home.join(".aws")).unwrap();
        fs::write(home.join(".aws/config"), config).unwrap();
        Self(home)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap_or_default();
    }
}

const CONFIG: &str = "
[profile other]
region = eu-west-1
aws_access_key_id = OTHER
aws_secret_access_key = secret
[profile empty]
region = eu-west-1
[profile single]
region = eu-west-1
sso_session = company
sso_account_id = 123456789012
sso_role_name = ops
[sso-session company]
sso_region = eu-west-1
sso_start_url = https://company.awsapps.com/start
";

/// Every command that calls AWS.
const COMMANDS: [&[&str]; 9] = [
    &["status"],
    &["plan"],
    &["apply", "--yes"],
    &["explain", "i-1"],
    &["doctor"],
    &["report", "-f", "-"],
    &["uninstall", "--yes"],
    &["uninstall", "--plan"],
    &["uninstall", "--cancel", "--yes"],
];

const KEYS: [(&str, &str); 3] =
    [("AWS_ACCESS_KEY_ID", "ENVIRONMENT"), ("AWS_SECRET_ACCESS_KEY", "secret"), ("AWS_REGION", "eu-west-1")];

#[test]
fn a_profile_that_is_named_wins_over_the_keys_of_the_environment_in_every_command() {
    let (home, endpoint) = (Home::with(CONFIG), Endpoint::start());
    let around = [&KEYS[..], &[("HOME", home.path()), ("AWS_ENDPOINT_URL", &endpoint.url)]].concat();
    for command in COMMANDS {
        let without = tagwire(&around, command);
        let keys = endpoint.keys();
        assert!(!keys.is_empty() && keys.iter().all(|key| key == "ENVIRONMENT"), "{command:?}: {keys:?}");
        assert_eq!(without.status.code(), Some(1), "{command:?}");
        let with = tagwire(&around, &[command, &["--profile", "other"]].concat());
        let keys = endpoint.keys();
        assert!(!keys.is_empty() && keys.iter().all(|key| key == "OTHER"), "{command:?}: {keys:?}");
        assert_eq!(with.status.code(), Some(1), "{command:?}");
    }
    let of_environment = [&around[..], &[("AWS_PROFILE", "other")]].concat();
    tagwire(&of_environment, &["plan"]);
    assert!(endpoint.keys().iter().all(|key| key == "ENVIRONMENT"), "as with the AWS CLI");
}

#[test]
fn a_profile_that_is_not_there_is_an_error_before_anything_is_asked() {
    let (home, endpoint) = (Home::with(CONFIG), Endpoint::start());
    let around = [&KEYS[..], &[("HOME", home.path()), ("AWS_ENDPOINT_URL", &endpoint.url)]].concat();
    for command in COMMANDS {
        for (environment, option) in
            [(&around, &["--profile", "oother"][..]), (&[&around[..], &[("AWS_PROFILE", "oother")]].concat(), &[])]
        {
            let unknown = tagwire(environment, &[command, option].concat());
            assert_eq!(unknown.status.code(), Some(1), "{command:?}");
            let expected = "tagwire: error: there is no profile named oother in the shared AWS files\nHint: the profiles are empty, other, single\n";
            assert_eq!(text(&unknown.stderr), expected, "{command:?}");
        }
    }
    assert_eq!(endpoint.keys(), Vec::<String>::new());
}

#[test]
fn a_profile_without_credentials_takes_none_from_anywhere_else() {
    let (home, endpoint) = (Home::with(CONFIG), Endpoint::start());
    let around = [&KEYS[..], &[("HOME", home.path()), ("AWS_ENDPOINT_URL", &endpoint.url)]].concat();
    let empty = tagwire(&around, &["plan", "--profile", "empty"]);
    assert_eq!(empty.status.code(), Some(1));
    let message = text(&empty.stderr);
    assert!(message.starts_with("tagwire: error: the profile empty gives no credentials: "), "{message}");
    assert!(
        message.contains("\nHint: sign in with `aws sso login --profile empty`") && message.lines().count() == 2,
        "{message}"
    );
    assert_eq!(endpoint.keys(), Vec::<String>::new());
}

/// The file in which `aws sso login` leaves the token of the session `company`: its name is the SHA-1 of that.
const TOKEN_FILE: &str = ".aws/sso/cache/71b21161ffa1e6516bcc072aaf5ef38cbe85b511.json";

#[test]
fn a_single_sign_on_profile_works_once_somebody_has_signed_in() {
    let (home, endpoint) = (Home::with(CONFIG), Endpoint::start());
    let of_sso = ("AWS_ENDPOINT_URL_SSO", endpoint.url.as_str());
    let around = [&KEYS[..], &[("HOME", home.path()), ("AWS_ENDPOINT_URL", &endpoint.url), of_sso]].concat();
    let before = tagwire(&around, &["plan", "--profile", "single"]);
    assert_eq!(before.status.code(), Some(1));
    let message = text(&before.stderr);
    assert!(message.starts_with("tagwire: error: the profile single gives no credentials: "), "{message}");
    assert!(message.contains("cached SSO token") && message.contains("`aws sso login --profile single`"), "{message}");
    assert_eq!(endpoint.keys(), Vec::<String>::new());

    fs::create_dir_all(home.0.join(".aws/sso/cache")).unwrap();
    let token = r#"{"accessToken": "token", "expiresAt": "2999-01-01T00:00:00Z"}"#;
    fs::write(home.0.join(TOKEN_FILE), token).unwrap();
    tagwire(&around, &["plan", "--profile", "single"]);
    let keys = endpoint.keys();
    assert!(!keys.is_empty() && keys.iter().all(|key| key == SIGNED_IN), "{keys:?}");
}

#[test]
fn a_report_that_could_not_be_written_is_refused_before_anything_is_asked() {
    let (home, endpoint) = (Home::with(""), Endpoint::start());
    let around = [&KEYS[..], &[("HOME", home.path()), ("AWS_ENDPOINT_URL", &endpoint.url)]].concat();
    let nowhere = format!("{}/nowhere/report.html", home.path());
    for (path, says) in [(nowhere.as_str(), "there is no folder "), (home.path(), " is a folder")] {
        let refused = tagwire(&around, &["report", "-f", path]);
        assert_eq!(refused.status.code(), Some(1), "{path}");
        assert!(text(&refused.stderr).contains(says), "{}", text(&refused.stderr));
    }
    assert_eq!(endpoint.keys(), Vec::<String>::new());
}

#[test]
fn missing_credentials_are_one_line_and_what_to_do() {
    let home = Home::with("");
    let around = [("HOME", home.path()), ("AWS_REGION", "eu-west-1"), ("AWS_EC2_METADATA_DISABLED", "true")];
    for command in COMMANDS.into_iter().filter(|command| *command != ["doctor"]) {
        let none = tagwire(&around, command);
        assert_eq!(none.status.code(), Some(1), "{command:?}");
        let expected = "tagwire: error: no AWS credentials were found\nHint: sign in with `aws configure` or `aws sso login`, and choose a profile with --profile or AWS_PROFILE\n";
        assert_eq!(text(&none.stderr), expected, "{command:?}");
    }
}
