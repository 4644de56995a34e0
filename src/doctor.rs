//! What is wrong with a cache, and mending it.

use std::path::PathBuf;

use provisioner_core::{CatalogRecord, ErrorCode, Outcome};

use crate::{ModelProvisioner, Result, provisioner::blocking};

/// Something that `doctor` found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What is wrong, and where.
    pub problem: String,
    /// What was done about it; `None` where nothing was.
    pub mended: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl ModelProvisioner {
    /// Looks for what is wrong with the cache, and mends it where `fix` says so: a damaged record is set aside, and
    /// its model can be made present anew.
    ///
    /// # Errors
    /// What keeps it from looking.
    pub async fn doctor(&self, fix: bool) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        let listing = self.parts.catalog.list().await?;
        for damaged in listing.damaged {
            let code = if damaged.is_newer { ErrorCode::NewerRecord } else { ErrorCode::DamagedRecord };
            let (mended, hint) = if damaged.is_newer || !fix {
                (None, code.hint().map(str::to_owned))
            } else {
                match self.parts.catalog.set_aside(&damaged).await {
                    Ok(aside) => (Some(format!("set aside as `{}`", aside.display())), None),
                    Err(error) => (None, Some(format!("it cannot be set aside: {error}"))),
                }
            };
            findings.push(Finding { problem: damaged.reason, mended, hint });
        }
        for record in listing.records.into_iter().map(|found| found.record) {
            let record = blocking(move || Ok((is_missing(&record), record))).await?;
            let problem = match record {
                (Some(path), record) => format!("`{}`: `{}` is gone", record.id, path.display()),
                (None, record) if record.verification.outcome == Outcome::Fail => {
                    format!(
                        "`{}` failed when it was last verified: {}",
                        record.id, record.verification.reason
                    )
                }
                _ => continue,
            };
            findings.push(Finding {
                problem,
                mended: None,
                hint: Some("bring the file back, or `remove` the record".to_owned()),
            });
        }
        Ok(findings)
    }
}

/// The first of a model's files that is not there any more.
fn is_missing(record: &CatalogRecord) -> Option<PathBuf> {
    let locations = record.files.iter().map(|file| record.location(&file.path));
    locations.into_iter().find(|path| !path.exists())
}
