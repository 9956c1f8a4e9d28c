//! Files that hold a secret: whole or not there at all, and never readable by others.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

/// Writes the secret into the file at `path`, in one line.
pub(crate) fn write(path: &Path, secret: &SecretString) -> std::io::Result<()> {
    let unfinished = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(&unfinished)?;
    writeln!(file, "{}", secret.expose_secret())?;
    file.sync_all()?;
    std::fs::rename(&unfinished, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_file_is_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin.token");
        write(&path, &"token".into()).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "token\n");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
