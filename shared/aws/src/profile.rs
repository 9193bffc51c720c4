//! The configuration that a person chooses by options: a profile, a Region, an endpoint.

use aws_config::{
    ConfigLoader, Region, SdkConfig,
    default_provider::region::DefaultRegionChain,
    profile::{ProfileFileCredentialsProvider, ProfileFileLoadError, load},
    provider_config::ProviderConfig,
    retry::RetryConfig,
};
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_types::os_shim_internal::{Env, Fs};

use crate::config::{SECOND, loader, timeouts};

/// The choices of a person that replace those of the environment.
#[derive(Debug, Clone, Default)]
pub struct ConfigOverrides {
    /// The profile of the shared configuration files. Its credentials are used and no others.
    pub profile: Option<String>,
    /// The Region.
    pub region: Option<String>,
    /// One endpoint for all services; it wins over every variable of the environment.
    pub endpoint_url: Option<String>,
}

/// The reason for which a profile cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// No file defines it.
    #[error("there is no profile named {name} in the shared AWS files")]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// A file cannot be read.
    #[error("the shared AWS files cannot be read")]
    Unreadable(#[from] ProfileFileLoadError),
}

/// As [`crate::load_config`], with a person's choices. As in the AWS CLI, a profile that is named by an option
/// wins over keys of the environment, and one that is named by `AWS_PROFILE` does not.
///
/// # Errors
/// When the profile is not there, however it was named.
pub async fn load_config_with(overrides: &ConfigOverrides) -> Result<SdkConfig, ProfileError> {
    let env = Env::real();
    if let Some(name) = overrides.profile.clone().or_else(|| env.get("AWS_PROFILE").ok()).filter(|it| !it.is_empty()) {
        require_profile(&Fs::real(), &env, name).await?;
    }
    let mut loader = loader(SECOND);
    if let Some(region) = &overrides.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(url) = &overrides.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    if let Some(profile) = &overrides.profile {
        loader = with_profile(loader, profile, overrides.region.clone()).await;
    }
    Ok(loader.load().await)
}

/// The chain of the SDK would look into the environment first, and elsewhere when the profile has nothing to give:
/// it would act on another account than the one that was asked for.
async fn with_profile(loader: ConfigLoader, profile: &str, region: Option<String>) -> ConfigLoader {
    let region = match region {
        Some(region) => Some(Region::new(region)),
        None => DefaultRegionChain::builder().profile_name(profile).build().region().await,
    };
    let provider_config = ProviderConfig::default()
        .with_region(region)
        .with_retry_config(RetryConfig::disabled())
        .with_timeout_config(timeouts(SECOND));
    let credentials =
        ProfileFileCredentialsProvider::builder().configure(&provider_config).profile_name(profile).build();
    loader.profile_name(profile).credentials_provider(credentials)
}

async fn require_profile(fs: &Fs, env: &Env, name: String) -> Result<(), ProfileError> {
    let profiles = load(fs, env, &EnvConfigFiles::default(), None).await?;
    if profiles.get_profile(&name).is_some() {
        return Ok(());
    }
    let mut known: Vec<String> = profiles.profiles().map(str::to_owned).collect();
    known.sort();
    Err(ProfileError::Unknown { name, known })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "[profile ops]\nregion = eu-west-1\n[profile audit]\nregion = eu-west-1\n";

    async fn required(name: &str) -> Result<(), ProfileError> {
        let fs =
            Fs::from_slice(&[("/home/me/config", CONFIG), ("/home/me/credentials", "[keys]\naws_access_key_id = a")]);
        let files = [("AWS_CONFIG_FILE", "/home/me/config"), ("AWS_SHARED_CREDENTIALS_FILE", "/home/me/credentials")];
        require_profile(&fs, &Env::from_slice(&files), name.to_owned()).await
    }

    #[tokio::test]
    async fn a_profile_is_one_of_either_file_and_any_other_is_an_error_that_names_those() {
        for defined in ["ops", "audit", "keys"] {
            required(defined).await.unwrap();
        }
        match required("oops").await {
            Err(ProfileError::Unknown { name, known }) => {
                assert_eq!(
                    (name.as_str(), known.as_slice()),
                    ("oops", ["audit", "keys", "ops"].map(str::to_owned).as_slice())
                );
            }
            other => panic!("{other:?}"),
        }
    }
}
