//! The functions' binaries, and the stack that is made of them and the template.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;
use serde_json::Value;

use crate::paths;

/// A deployed stack.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Stack {
    outputs: BTreeMap<String, String>,
    resources: BTreeMap<String, Resource>,
}

/// A resource of a stack.
#[derive(Clone, Debug, Deserialize)]
pub struct Resource {
    /// Its CloudFormation type, `AWS::SQS::Queue`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its physical id: a queue's URL, a function's name.
    pub id: String,
}

impl Stack {
    /// The value of an output.
    ///
    /// # Errors
    ///
    /// When the stack has no such output; the error names those it has.
    pub fn output(&self, name: &str) -> Result<&str> {
        self.outputs
            .get(name)
            .map(String::as_str)
            .ok_or_else(|| anyhow!("the stack has no output {name}; it has {:?}", self.outputs.keys()))
    }

    /// The physical id of a resource, by its logical one.
    ///
    /// # Errors
    ///
    /// When the stack has no such resource; the error names those it has.
    pub fn physical_id(&self, logical_id: &str) -> Result<&str> {
        self.resources
            .get(logical_id)
            .map(|resource| resource.id.as_str())
            .ok_or_else(|| anyhow!("the stack has no resource {logical_id}; it has {:?}", self.resources.keys()))
    }

    /// The logical id of the resource with a physical one.
    #[must_use]
    pub fn logical_id(&self, physical_id: &str) -> Option<&str> {
        let (logical_id, _) = self.resources.iter().find(|(_, resource)| resource.id == physical_id)?;
        Some(logical_id)
    }

    /// The physical id of the only resource of a CloudFormation type.
    ///
    /// # Errors
    ///
    /// When the stack has none of it, or several.
    pub fn only(&self, kind: &str) -> Result<&str> {
        let mut of_kind = self.resources.values().filter(|resource| resource.kind == kind);
        match (of_kind.next(), of_kind.next()) {
            (Some(resource), None) => Ok(&resource.id),
            (None, _) => bail!("the stack has no {kind}"),
            (Some(_), Some(_)) => bail!("the stack has several {kind}"),
        }
    }

    /// All resources, by logical id.
    #[must_use]
    pub fn resources(&self) -> &BTreeMap<String, Resource> {
        &self.resources
    }

    /// The outputs, by name.
    #[must_use]
    pub fn outputs(&self) -> &BTreeMap<String, String> {
        &self.outputs
    }

    /// The logical id of the queue with a name.
    pub(crate) fn queue(&self, name: &str) -> Option<&str> {
        self.resources.iter().find_map(|(logical_id, resource)| {
            let is_it = resource.kind == "AWS::SQS::Queue" && resource.id.rsplit('/').next() == Some(name);
            is_it.then_some(logical_id.as_str())
        })
    }
}

/// Builds every binary of the workspace, as a `cargo build` of all of it does, and answers where they are.
///
/// All of them, because a smaller selection has other features of crates that the AWS SDKs are built on, and would
/// build the SDKs again. The SDKs' own build is shared with `cargo test`.
///
/// # Errors
///
/// When the build fails; the error has the compiler's words.
pub(crate) fn build_functions() -> Result<Vec<PathBuf>> {
    let cargo = std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from);
    let mut command = Command::new(cargo);
    command.current_dir(paths::workspace()).args([
        "build",
        "--workspace",
        "--bins",
        "--message-format=json-render-diagnostics",
    ]);
    let output = command.output().with_context(|| format!("starting {command:?}"))?;
    if !output.status.success() {
        bail!(
            "building the functions with {command:?} ended with {}:\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let built: Vec<PathBuf> = String::from_utf8_lossy(&output.stdout).lines().filter_map(executable).collect();
    if built.is_empty() {
        bail!("{command:?} built no binary");
    }
    Ok(built)
}

/// Puts binaries into a folder, where the next build does not replace them.
pub(crate) fn collect(binaries: &[PathBuf], into: &Path) -> Result<()> {
    std::fs::create_dir_all(into).with_context(|| format!("making {}", into.display()))?;
    for binary in binaries {
        let name = binary.file_name().ok_or_else(|| anyhow!("{} has no name", binary.display()))?;
        let copy = into.join(name);
        // A link costs nothing, and a build makes new files instead of writing into old ones.
        if std::fs::hard_link(binary, &copy).is_err() {
            std::fs::copy(binary, &copy)
                .with_context(|| format!("copying {} to {}", binary.display(), copy.display()))?;
        }
    }
    Ok(())
}

/// The executable that a line of cargo's messages tells of.
fn executable(line: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    (message.get("reason")?.as_str()? == "compiler-artifact").then_some(())?;
    Some(PathBuf::from(message.get("executable")?.as_str()?))
}

/// What is deployed where.
#[derive(Clone, Debug)]
pub(crate) struct Deployment {
    pub(crate) python: PathBuf,
    pub(crate) endpoint: String,
    pub(crate) template: PathBuf,
    pub(crate) functions: PathBuf,
    pub(crate) stack: String,
}

impl Deployment {
    /// Creates the stack and waits for it. Blocks.
    pub(crate) fn create(&self, parameters: &BTreeMap<String, String>) -> Result<Stack> {
        let mut command = self.command();
        command.arg("--template").arg(&self.template).arg("--functions").arg(&self.functions);
        command.arg("--parameters").arg(serde_json::to_string(parameters)?);
        let printed = run(&mut command)?;
        serde_json::from_slice(&printed).with_context(|| {
            format!("{command:?} printed {:?}, which is no description of a stack", String::from_utf8_lossy(&printed))
        })
    }

    /// Deletes the stack and waits until it is gone. Blocks.
    pub(crate) fn delete(&self) -> Result<()> {
        run(self.command().arg("--delete")).map(drop)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(paths::python().join("deploy.py"));
        command.args(["--endpoint", &self.endpoint, "--stack", &self.stack]);
        command
    }
}

/// Runs a command to its end and answers what it printed.
fn run(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.output().with_context(|| format!("starting {command:?}"))?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(output.stdout)
}
