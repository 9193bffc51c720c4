//! The options of every command, and the manual pages.

use std::fs;

use crate::{
    endpoint::{Endpoint, REQUEST_ID},
    tagwire, text,
};

const KEYS: [(&str, &str); 3] =
    [("AWS_ACCESS_KEY_ID", "KEYOFTHECALLER"), ("AWS_SECRET_ACCESS_KEY", "verysecret"), ("AWS_REGION", "eu-west-1")];

#[test]
fn debugging_tells_of_each_call_and_of_nothing_secret() {
    let endpoint = Endpoint::start();
    let around =
        [&KEYS[..], &[("AWS_ENDPOINT_URL", endpoint.url.as_str()), ("AWS_SESSION_TOKEN", "alsosecret")]].concat();
    let without = text(&tagwire(&around, &["plan"]).stderr);
    assert!(!without.contains("debug:"), "{without}");
    endpoint.keys();
    let with = text(&tagwire(&around, &["plan", "--debug"]).stderr);
    let calls: Vec<&str> = with.lines().filter(|line| line.starts_with("debug: ")).collect();
    assert_eq!(calls.len(), endpoint.keys().len(), "a line for each call: {with}");
    let stack = calls.iter().find(|line| line.starts_with("debug: cloudformation:DescribeStackResources took "));
    assert!(stack.is_some_and(|line| line.ends_with(&format!(" ms, request {REQUEST_ID}"))), "{with}");
    for secret in ["KEYOFTHECALLER", "verysecret", "alsosecret", "Signature"] {
        assert!(!with.contains(secret), "{with}");
    }
}

#[test]
fn a_quiet_command_leaves_out_notes_and_keeps_errors() {
    let endpoint = Endpoint::start();
    let around = [&KEYS[..], &[("AWS_ENDPOINT_URL", endpoint.url.as_str())]].concat();
    let (loud, quiet) = (tagwire(&around, &["plan"]), tagwire(&around, &["plan", "-q"]));
    let (loud_text, quiet_text) = (text(&loud.stderr), text(&quiet.stderr));
    assert!(loud_text.contains("note:") && !quiet_text.contains("note:"), "{loud_text}\n{quiet_text}");
    assert!(quiet_text.contains("error:") && loud.status == quiet.status, "{quiet_text}");
}

#[test]
fn a_manual_page_is_written_for_each_command() {
    let folder = std::env::temp_dir().join(format!("tagwire-man-{}", std::process::id()));
    let path = folder.to_str().unwrap();
    let written = tagwire(&[], &["man", "--dir", path]);
    assert_eq!(written.status.code(), Some(0), "{}", text(&written.stderr));
    let mut names: Vec<String> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert!(names.contains(&"tagwire.1".to_owned()) && names.contains(&"tagwire-status.1".to_owned()), "{names:?}");
    let page = fs::read_to_string(folder.join("tagwire-status.1")).unwrap();
    assert_eq!(text(&tagwire(&[], &["man", "status"]).stdout), page);
    fs::remove_dir_all(&folder).unwrap();
    let unknown = tagwire(&[], &["man", "stauts"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(text(&unknown.stderr).contains("there is no command \"stauts\""), "{}", text(&unknown.stderr));
}
