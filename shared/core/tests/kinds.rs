//! A kind of data store is named in its row, in the one match of the AWS crate and in the file of
//! its service. This counts every other place in production code.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use tagwire_core::service::{Service, StoreKind};

/// Where the sources are, from the root of the repository.
const SOURCES: [&str; 3] = ["shared", "cli/src", "functions"];

/// The match that picks the implementation of a kind.
const MATCH: &str = "shared/aws/src/lib.rs";

/// The files outside the AWS crate's one for the service that may name a kind or a service, each with
/// the reason.
const ALLOWED: [(&str, &str); 7] = [
    ("shared/core/src/resources/service.rs", "the rows"),
    (MATCH, "the match, and the clients of the APIs"),
    ("cli/src/commands/doctor/permissions/grants.rs", "the statements of the template, which a test compares with it"),
    ("cli/src/commands/doctor/facts.rs", "the roles that services make for themselves, whose names follow no rule"),
    ("cli/src/commands/doctor/tag_policy.rs", "the services as tag policies of Organizations name them"),
    ("cli/src/commands/doctor/trail.rs", "sentences for people"),
    ("shared/core/src/connections/link.rs", "the console of RDS, the only one that makes pairs"),
];

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

fn sources(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default();
        if path.is_dir() && name != "tests" && name != "target" {
            files.extend(sources(&path)?);
        } else if path.extension().is_some_and(|end| end == "rs") && name != "tests.rs" && name != "testing.rs" {
            files.push(path);
        }
    }
    Ok(files)
}

/// The lines of a file that are neither comments nor tests.
fn production(text: &str) -> impl Iterator<Item = &str> {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let code = code.split("#[cfg(test)]\npub(crate) mod tests {").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//"))
}

/// How many lines of each file have some text.
fn places(has: impl Fn(&str) -> bool) -> io::Result<BTreeMap<String, usize>> {
    let root = root();
    let mut places = BTreeMap::new();
    for folder in SOURCES {
        for file in sources(&root.join(folder))? {
            let count = production(&fs::read_to_string(&file)?).filter(|line| has(line)).count();
            if count > 0 {
                let name = file.strip_prefix(&root).map_err(io::Error::other)?;
                places.insert(name.display().to_string(), count);
            }
        }
    }
    Ok(places)
}

/// The files that name something and are neither allowed to nor the service's own.
fn elsewhere(places: BTreeMap<String, usize>, service: Service) -> Vec<String> {
    let allowed = |file: &str| file.starts_with(implementation(service)) || ALLOWED.iter().any(|(of, _)| *of == file);
    places.into_keys().filter(|file| !allowed(file)).collect()
}

#[test]
fn a_kind_of_store_is_named_in_its_row_in_one_match_and_in_the_file_of_its_service() -> io::Result<()> {
    for kind in StoreKind::ALL {
        let name = folded(&format!("{kind:?}"));
        let places = places(|line| folded(line).contains(&name))?;
        assert_eq!(elsewhere(places, kind.row().usual_service), Vec::<String>::new(), "{kind:?}");
    }
    Ok(())
}

#[test]
fn one_line_outside_the_file_of_its_service_decides_on_a_kind() -> io::Result<()> {
    for kind in StoreKind::ALL {
        let variant = format!("StoreKind::{kind:?}");
        let mut places = places(|line| line.contains(&variant))?;
        places.retain(|file, _| !file.starts_with(implementation(kind.row().usual_service)));
        assert_eq!(places, BTreeMap::from([(MATCH.to_owned(), 1)]), "{kind:?}");
    }
    Ok(())
}

fn names(line: &str, service: Service) -> bool {
    // Three letters are part of many words.
    let is_short = service == Service::Rds;
    let word = if is_short { line.contains("\"rds\"") } else { folded(line).contains(&folded(service.row().title)) };
    word || line.contains(&format!("Service::{service:?}"))
}

#[test]
fn a_service_is_named_in_its_row_and_in_its_own_file() -> io::Result<()> {
    for &service in Service::ALL {
        let places = places(|line| names(line, service))?;
        assert_eq!(elsewhere(places, service), Vec::<String>::new(), "{service:?}");
    }
    Ok(())
}

#[test]
fn nothing_is_allowed_that_is_not_needed() -> io::Result<()> {
    let places = places(|line| Service::ALL.iter().any(|&service| names(line, service)))?;
    let unneeded: Vec<&str> =
        ALLOWED.iter().map(|(file, _)| *file).filter(|file| !places.contains_key(*file)).collect();
    assert_eq!(unneeded, Vec::<&str>::new());
    Ok(())
}
