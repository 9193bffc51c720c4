//! Files that a command writes. They name what is in an account, so only their owner may read them; they are there
//! whole or not at all; and no symbolic link leads the writing elsewhere.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use anyhow::Context;

use crate::error::{CommandResult, user_error};

/// A file that is being written, under another name until all of it is.
pub(crate) struct PrivateFile {
    path: PathBuf,
    /// Its name until then.
    draft: PathBuf,
    file: File,
}

impl PrivateFile {
    /// Begins a file, so that a path that cannot be written to is refused before minutes are spent on its content.
    ///
    /// # Errors
    /// When no file can be written there, or something other than a file has the name.
    pub(crate) fn begin(path: &Path) -> CommandResult<Self> {
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(name) = name else {
            return Err(user_error!("{} is not the name of a file", path.display()));
        };
        match fs::symlink_metadata(path) {
            Ok(found) if found.is_dir() => {
                return Err(user_error!("{} is a folder", path.display()).hint("name a file in it"));
            }
            Ok(found) if found.is_symlink() => {
                return Err(user_error!("{} is a symbolic link, and none is followed", path.display())
                    .hint("name the file that it leads to, or remove the link"));
            }
            Ok(found) if !found.is_file() => {
                return Err(user_error!("{} is not a regular file", path.display()));
            }
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(anyhow::Error::from(error).context(path.display().to_string()).into()),
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            return Err(user_error!("there is no folder {}", folder.display()).hint("choose another path"));
        }
        let draft = path.with_file_name(format!(".{name}.{}", std::process::id()));
        let file = new_file(&draft).with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(Self { path: path.to_owned(), draft, file })
    }

    /// Writes the content, and gives the file its name.
    ///
    /// # Errors
    /// When the disk is full, and the like.
    pub(crate) fn finish(mut self, content: &str) -> CommandResult<()> {
        let written = self.file.write_all(content.as_bytes()).and_then(|()| self.file.sync_all());
        let written = written.and_then(|()| fs::rename(&self.draft, &self.path));
        Ok(written.with_context(|| format!("writing {}", self.path.display()))?)
    }
}

impl Drop for PrivateFile {
    fn drop(&mut self) {
        // Once it has its name, there is no draft any more.
        fs::remove_file(&self.draft).unwrap_or_default();
    }
}

/// A file that was not there before, which only its owner may read.
fn new_file(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    /// A folder of one test.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("tagwire-file-{name}-{}", std::process::id()));
            fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }

        fn entries(&self) -> usize {
            fs::read_dir(&self.0).unwrap().count()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap_or_default();
        }
    }

    #[test]
    fn a_file_is_its_owner_s_alone_even_where_one_was_before_that_everybody_could_read() {
        let folder = Folder::new("owner");
        let path = folder.0.join("plan.json");
        fs::write(&path, "before").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        PrivateFile::begin(&path).unwrap().finish("after").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "after");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(folder.entries(), 1, "no draft is left");
    }

    #[test]
    fn a_file_that_was_begun_and_not_finished_leaves_what_was_there() {
        let folder = Folder::new("begun");
        let path = folder.0.join("plan.json");
        fs::write(&path, "before").unwrap();
        drop(PrivateFile::begin(&path).unwrap());
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), folder.entries()), ("before", 1));
    }

    #[test]
    fn no_symbolic_link_is_followed_and_nothing_but_a_file_is_replaced() {
        let folder = Folder::new("link");
        let (target, link) = (folder.0.join("target"), folder.0.join("link"));
        fs::write(&target, "before").unwrap();
        symlink(&target, &link).unwrap();
        let nowhere = folder.0.join("nowhere/plan.json");
        for (path, message) in [
            (link.as_path(), "is a symbolic link"),
            (folder.0.as_path(), "is a folder"),
            (nowhere.as_path(), "there is no folder"),
            (Path::new("/dev/null"), "is not a regular file"),
            (Path::new(".."), "is not the name of a file"),
        ] {
            let refused = PrivateFile::begin(path).map(drop).unwrap_err();
            assert!(refused.to_string().contains(message), "{refused}");
        }
        assert_eq!((fs::read_to_string(&target).unwrap().as_str(), folder.entries()), ("before", 2));
    }
}
