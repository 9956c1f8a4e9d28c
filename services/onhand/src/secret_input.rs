//! Secrets from files and standard input, so that they need not stand in the shell's history and in process lists.

use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use crate::failure::Failure;

/// A file that is longer surely holds something else, in bytes.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// Stands for standard input.
pub(crate) const STANDARD_INPUT: &str = "-";

/// The secret in a file, or in the next line of standard input.
pub(crate) fn from_file(path: &Path, what: &'static str) -> Result<SecretString, Failure> {
    if path.as_os_str() == STANDARD_INPUT {
        return from_line(&mut std::io::stdin().lock(), what);
    }
    let read = || -> std::io::Result<String> {
        let mut text = String::new();
        std::fs::File::open(path)?.take(SECRET_BYTES_MAX).read_to_string(&mut text)?;
        Ok(text)
    };
    let text = read().map_err(|source| Failure::Read { path: path.to_owned(), source })?;
    // Editors and `echo` end a file with a newline that is not part of the secret.
    let secret = text.trim();
    if secret.is_empty() || secret.contains('\n') {
        return Err(Failure::EmptySecret { what, path: path.to_owned() });
    }
    Ok(SecretString::from(secret))
}

fn from_line(input: &mut impl BufRead, what: &'static str) -> Result<SecretString, Failure> {
    let mut line = String::new();
    input
        .take(SECRET_BYTES_MAX)
        .read_line(&mut line)
        .map_err(|source| Failure::Read { path: PathBuf::from(STANDARD_INPUT), source })?;
    match line.trim() {
        "" => Err(Failure::NoSecretLine { what }),
        secret => Ok(SecretString::from(secret)),
    }
}

/// One secret of a command: given as it is, or where to read it.
#[derive(Debug)]
pub(crate) struct SecretInput<'a> {
    pub(crate) what: &'static str,
    /// The flag without `--`; the file's flag is the same with `-file`.
    pub(crate) flag: &'static str,
    pub(crate) text: Option<&'a SecretString>,
    pub(crate) file: Option<&'a Path>,
}

impl SecretInput<'_> {
    pub(crate) fn optional(&self) -> Result<Option<SecretString>, Failure> {
        match (self.file, self.text) {
            (Some(path), _) => from_file(path, self.what).map(Some),
            (None, text) => Ok(text.cloned()),
        }
    }

    pub(crate) fn required(&self) -> Result<SecretString, Failure> {
        self.optional()?.ok_or(Failure::SecretMissing { what: self.what, flag: self.flag })
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn lines_of_standard_input_are_taken_one_after_another() {
        let mut input = "ck_1\n  cs_2 \n\n".as_bytes();
        assert_eq!(from_line(&mut input, "key").unwrap().expose_secret(), "ck_1");
        assert_eq!(from_line(&mut input, "secret").unwrap().expose_secret(), "cs_2");
        assert!(matches!(from_line(&mut input, "rest"), Err(Failure::NoSecretLine { what: "rest" })));
    }

    #[test]
    fn a_file_holds_one_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        for (text, expected) in [("cs_1\n", Some("cs_1")), ("", None), ("a\nb\n", None)] {
            std::fs::write(&path, text).unwrap();
            let read = from_file(&path, "secret").ok();
            assert_eq!(read.as_ref().map(ExposeSecret::expose_secret), expected, "{text:?}");
        }
    }
}
