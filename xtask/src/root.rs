//! Where the repository is, from wherever a command is called.

use std::path::{Path, PathBuf};

/// The directory of the workspace's manifest.
pub(crate) fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().expect("xtask lies in the workspace").to_path_buf()
}
