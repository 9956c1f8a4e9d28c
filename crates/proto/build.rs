//! Compiles the wire contract without a protobuf compiler being installed.

use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new("../../proto");
    println!("cargo::rerun-if-changed=../../proto/onhand");
    let files = protox::compile(["onhand/v1/onhand.proto"], [root])?;
    prost_build::Config::new().compile_fds(files)?;
    Ok(())
}
