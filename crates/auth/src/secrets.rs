//! The secrets that a first start makes, in `secrets/` of the data directory.
//!
//! | file | holds |
//! |---|---|
//! | `api-token` | the token of the REST API |
//! | `demo-key` | the stream key of the input `demo` |
//!
//! One line each, mode 0600, in a directory of mode 0700. They are kept in the clear, since
//! the operator has to be able to look them up; so they must be readable by nobody else.

use crate::error::Error;
use crate::key::Secret;
use crate::limits::SECRET_FILE_BYTES_MAX;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

/// The name of the input that the first start makes.
pub const DEMO_INPUT: &str = "demo";

/// What `secrets/` holds.
#[derive(Debug, Clone)]
pub struct Secrets {
    /// The token of the REST API.
    pub api_token: Secret,
    /// The stream key of the input [`DEMO_INPUT`].
    pub demo_key: Secret,
    /// Whether any of them was made just now, so that the operator has not seen it.
    pub is_new: bool,
}

impl Secrets {
    /// Reads the secrets in `dir`, and makes what is missing. The parent of `dir` exists.
    /// What was made is on disk when this returns.
    ///
    /// # Errors
    /// [`Error::Permissions`] with the command to run, [`Error::File`], [`Error::Io`],
    /// [`Error::Randomness`]
    pub fn load_or_create(dir: &Path) -> Result<Self, Error> {
        match DirBuilder::new().mode(0o700).create(dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(io_error(dir, "create", error));
            }
            _ => {}
        }
        let metadata = fs::metadata(dir).map_err(|error| io_error(dir, "read", error))?;
        if !metadata.is_dir() {
            return Err(Error::File {
                path: dir.to_owned(),
                why: "is not a directory",
            });
        }
        check_mode(dir, metadata.mode(), 0o700)?;
        let (api_token, token_is_new) = load_or_create(dir, "api-token")?;
        let (demo_key, key_is_new) = load_or_create(dir, "demo-key")?;
        Ok(Self {
            api_token,
            demo_key,
            is_new: token_is_new || key_is_new,
        })
    }
}

fn load_or_create(dir: &Path, name: &str) -> Result<(Secret, bool), Error> {
    let path = dir.join(name);
    match File::open(&path) {
        Ok(file) => Ok((load(&path, file)?, false)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let secret = Secret::generate()?;
            create(dir, name, &secret)?;
            Ok((secret, true))
        }
        Err(error) => Err(io_error(&path, "open", error)),
    }
}

fn load(path: &Path, file: File) -> Result<Secret, Error> {
    // Asked of the open file, so that it cannot be another one than is read.
    let metadata = file
        .metadata()
        .map_err(|error| io_error(path, "read", error))?;
    check_mode(path, metadata.mode(), 0o600)?;
    let mut text = String::new();
    file.take(SECRET_FILE_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(|error| io_error(path, "read", error))?;
    Secret::parse(text.trim_end()).map_err(|error| Error::File {
        path: path.to_owned(),
        why: match error {
            Error::Secret(why) => why,
            _ => "is no secret",
        },
    })
}

/// Writes beside and renames, so that a crash leaves a whole file or none.
fn create(dir: &Path, name: &str, secret: &Secret) -> Result<(), Error> {
    let (path, draft) = (dir.join(name), dir.join(format!(".{name}.new")));
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(io_error(&draft, "remove", error));
        }
        _ => {}
    }
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft)?;
        file.write_all(format!("{}\n", secret.expose()).as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, &path)?;
        File::open(dir)?.sync_all()
    };
    write().map_err(|error| io_error(&path, "write", error))
}

/// Refuses a file that group or others may do anything with: it holds secrets.
///
/// # Errors
/// [`Error::Permissions`] with the command to run, [`Error::Io`]
pub fn require_private(file: &Path) -> Result<(), Error> {
    let metadata = fs::metadata(file).map_err(|error| io_error(file, "read", error))?;
    check_mode(file, metadata.mode(), 0o600)
}

/// Refuses what group or others may do anything with.
fn check_mode(path: &Path, mode: u32, want: u32) -> Result<(), Error> {
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(Error::Permissions {
        path: path.to_owned(),
        mode: mode & 0o777,
        want,
    })
}

fn io_error(path: &Path, doing: &'static str, error: io::Error) -> Error {
    Error::Io {
        path: path.to_owned(),
        doing,
        error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn first_start_makes_secrets_and_later_ones_read_them() {
        let data = tempfile::tempdir().unwrap();
        let dir = data.path().join("secrets");
        let first = Secrets::load_or_create(&dir).unwrap();
        assert!(first.is_new);
        assert_ne!(first.api_token, first.demo_key);
        assert_eq!(mode(&dir), 0o700);
        assert_eq!(mode(&dir.join("api-token")), 0o600);
        assert_eq!(mode(&dir.join("demo-key")), 0o600);

        let second = Secrets::load_or_create(&dir).unwrap();
        assert!(!second.is_new);
        assert_eq!(second.api_token, first.api_token);
        assert_eq!(second.demo_key, first.demo_key);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 2);
    }

    #[test]
    fn a_draft_left_by_a_crash_is_replaced() {
        let data = tempfile::tempdir().unwrap();
        let dir = data.path().join("secrets");
        DirBuilder::new().mode(0o700).create(&dir).unwrap();
        let draft = dir.join(".api-token.new");
        fs::write(&draft, "half").unwrap();
        set_mode(&draft, 0o644);
        let secrets = Secrets::load_or_create(&dir).unwrap();
        assert!(secrets.is_new);
        assert_eq!(mode(&dir.join("api-token")), 0o600);
        assert!(!draft.exists());
    }

    #[test]
    fn files_that_others_may_read_are_refused_with_advice() {
        let data = tempfile::tempdir().unwrap();
        let dir = data.path().join("secrets");
        Secrets::load_or_create(&dir).unwrap();
        let key = dir.join("demo-key");
        for bad in [0o640, 0o604, 0o620, 0o601] {
            set_mode(&key, bad);
            let message = Secrets::load_or_create(&dir).unwrap_err().to_string();
            let advice = format!("chmod 600 {}", key.display());
            assert!(message.contains(&advice), "{message}");
        }
        set_mode(&key, 0o400);
        assert!(Secrets::load_or_create(&dir).is_ok());
        set_mode(&dir, 0o750);
        let message = Secrets::load_or_create(&dir).unwrap_err().to_string();
        assert!(
            message.contains(&format!("chmod 700 {}", dir.display())),
            "{message}"
        );
    }

    #[test]
    fn what_is_no_secret_is_refused_and_not_shown() {
        let data = tempfile::tempdir().unwrap();
        let dir = data.path().join("secrets");
        Secrets::load_or_create(&dir).unwrap();
        let token = dir.join("api-token");
        for bad in [
            "",
            "\n",
            "tiny!",
            "two words in one line",
            &"x".repeat(2000),
        ] {
            fs::write(&token, bad).unwrap();
            let error = Secrets::load_or_create(&dir).unwrap_err();
            assert!(matches!(error, Error::File { .. }), "{error}");
            assert!(bad.trim().is_empty() || !error.to_string().contains(bad));
        }
        fs::write(&token, "chosen-by-the-operator\r\n").unwrap();
        let secrets = Secrets::load_or_create(&dir).unwrap();
        assert_eq!(secrets.api_token.expose(), "chosen-by-the-operator");
    }

    #[test]
    fn a_file_in_place_of_the_directory_is_named() {
        let data = tempfile::tempdir().unwrap();
        let dir = data.path().join("secrets");
        fs::write(&dir, "").unwrap();
        let message = Secrets::load_or_create(&dir).unwrap_err().to_string();
        assert!(message.contains("not a directory"), "{message}");
    }
}
