//! Writes the golden fixtures anew. A fixture of a released version may be added, never changed.
#![expect(clippy::unwrap_used, reason = "a tool of the tests")]

use std::fs;
use std::path::Path;

#[path = "../tests/golden/cases.rs"]
mod cases;

fn main() -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto/fixtures");
    for (name, message) in cases::messages() {
        let bytes = message.encode().map_err(std::io::Error::other)?;
        fs::write(folder.join(format!("{name}.txt")), cases::fixture(&bytes, &message))?;
    }
    let envelope = cases::envelope();
    fs::write(folder.join("stored.txt"), cases::fixture(&envelope.clone().into_bytes(), &envelope))
}
