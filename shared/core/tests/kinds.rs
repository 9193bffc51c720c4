//! A kind of data store is named in its row, in the one match of the AWS crate and in the file of
//! its service. This counts every other place in production code.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use tagwire_core::service::{Service, StoreKind};

/// Where the sources are, from the root of the repository.
const SOURCES: [&str; 3] = ["shared", "cli/src", "functions"];

/// The row of a kind.
const ROWS: &str = "shared/core/src/resources/service.rs";
/// The match that picks the implementation of a kind.
const MATCH: &str = "shared/aws/src/lib.rs";
/// The template's statements, which `tagwire doctor` tries and a test compares with the template.
const STATEMENTS: &str = "cli/src/doctor/permissions.rs";
/// The roles of the services, which have names of their own.
const ROLES: &str = "cli/src/doctor/facts.rs";
/// The keys of the tag policies of Organizations.
const TAG_POLICIES: &str = "cli/src/doctor/account.rs";

/// The file or folder of a service in the AWS crate. RDS's API is also that of DocumentDB and Neptune.
fn implementation(service: Service) -> &'static str {
    match service {
        Service::Rds | Service::DocumentDb | Service::Neptune => "shared/aws/src/rds.rs",
        Service::ElastiCache => "shared/aws/src/elasticache/",
        Service::Redshift => "shared/aws/src/redshift.rs",
    }
}

/// A name in the one spelling that all of its spellings have in common: `ServerlessCache`,
/// `serverless_caches` and `serverless-cache` are all `serverlesscache`.
fn folded(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|symbol| symbol.to_ascii_lowercase()).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && !["tests", "target"].contains(&name) {
            sources(&path, files);
        } else if path.extension().is_some_and(|end| end == "rs") && !["tests.rs", "testing.rs"].contains(&name) {
            files.push(path);
        }
    }
}

/// The lines of a file that are neither comments nor tests.
fn production(text: &str) -> impl Iterator<Item = &str> {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let code = code.split("#[cfg(test)]\npub(crate) mod tests {").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//"))
}

/// How many lines of each file have some text.
fn places(has: impl Fn(&str) -> bool) -> BTreeMap<String, usize> {
    let root = root();
    let mut files = Vec::new();
    SOURCES.iter().for_each(|folder| sources(&root.join(folder), &mut files));
    let counted = files.into_iter().map(|file| {
        let text = fs::read_to_string(&file).unwrap();
        let name = file.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        (name, production(&text).filter(|line| has(line)).count())
    });
    counted.filter(|(_, count)| *count > 0).collect()
}

#[test]
fn a_kind_of_store_is_named_in_its_row_in_one_match_and_in_the_file_of_its_service() {
    for kind in StoreKind::ALL {
        let name = folded(&format!("{kind:?}"));
        let own = implementation(kind.row().usual_service);
        let places = places(|line| folded(line).contains(&name));
        let elsewhere: Vec<&String> = places.keys().filter(|file| !file.starts_with(own)).collect();
        assert_eq!(elsewhere, [STATEMENTS, MATCH, ROWS], "{kind:?}");
    }
}

#[test]
fn one_line_outside_the_file_of_its_service_decides_on_a_kind() {
    for kind in StoreKind::ALL {
        let variant = format!("StoreKind::{kind:?}");
        let mut places = places(|line| line.contains(&variant));
        places.retain(|file, _| !file.starts_with(implementation(kind.row().usual_service)));
        assert_eq!(places, BTreeMap::from([(MATCH.to_owned(), 1)]), "{kind:?}");
    }
}

#[test]
fn a_service_is_named_in_its_row_in_its_own_file_and_where_its_roles_and_permissions_are_tried() {
    for service in Service::ALL {
        let name = folded(service.row().title);
        // Three letters are part of many words; the others are not part of any.
        let named = |line: &str| match service {
            Service::Rds => line.contains("\"rds\"") || line.contains("Service::Rds"),
            _ => folded(line).contains(&name),
        };
        let allowed = [ROWS, MATCH, STATEMENTS, ROLES, TAG_POLICIES, implementation(*service)];
        let places = places(named);
        let elsewhere: Vec<&String> =
            places.keys().filter(|file| !allowed.iter().any(|allowed| file.starts_with(allowed))).collect();
        assert_eq!(elsewhere, Vec::<&String>::new(), "{service:?}");
    }
}
