//! Files that are nobody else's business: whole or not there at all, and never readable by others.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

/// Writes `content` into the file at `path`, and to disk. Through a temporary name beside it: after a crash there is the file
/// of before or the new one.
///
/// # Errors
///
/// The folder is not there, cannot be written to, or is full; the file of before is untouched.
pub fn write(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(&unfinished)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&unfinished, path)?;
    match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

/// The same of a secret, in one line.
///
/// # Errors
///
/// As [`write`].
pub fn write_secret(path: &Path, secret: &SecretString) -> std::io::Result<()> {
    write(path, format!("{}\n", secret.expose_secret()).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_file_is_replaced_as_a_whole_and_read_by_nobody_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin.token");
        write(&path, b"a longer token\n").unwrap();
        write_secret(&path, &"token".into()).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "token\n");
        assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 1, "nothing unfinished is left");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
