//! `onhand stock export`: all stock as CSV, written while it comes, and so any other export.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use reqwest::{Method, RequestBuilder};

use crate::api::Api;
use crate::failure::Failure;

#[derive(Debug, Args)]
pub(crate) struct Export {
    #[command(flatten)]
    to: Output,
}

/// Where an export goes.
#[derive(Debug, Args)]
pub(crate) struct Output {
    /// Write to this file instead of standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Export {
    pub(super) async fn run(self, api: &Api) -> Result<(), Failure> {
        self.to.save(api, api.request(Method::GET, &["stock", "export"])).await
    }
}

impl Output {
    /// What is asked for, as it comes.
    pub(crate) async fn save(&self, api: &Api, request: RequestBuilder) -> Result<(), Failure> {
        let mut response = api.send(request).await?;
        match &self.output {
            None => {
                let mut out = std::io::stdout().lock();
                let failed = |source| Failure::Output { source };
                while let Some(piece) = response.chunk().await.map_err(|source| api.not_answered(source))? {
                    out.write_all(&piece).map_err(failed)?;
                }
                out.flush().map_err(failed)
            }
            Some(path) => {
                let failed = |source| Failure::Write { path: path.clone(), source };
                let mut out = std::io::BufWriter::new(std::fs::File::create(path).map_err(failed)?);
                while let Some(piece) = response.chunk().await.map_err(|source| api.not_answered(source))? {
                    out.write_all(&piece).map_err(failed)?;
                }
                out.flush().map_err(failed)
            }
        }
    }
}
