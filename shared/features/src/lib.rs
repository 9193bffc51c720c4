//! The one set of features for crates upstream of the AWS SDKs; see `Cargo.toml`. There is no code here.
