//! Makes a statement, and writes it where the caller wants it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use attestation::{Bom, Circumstances, LogLine, StatedModel, Statement, StatementFormat};
use provenance_log::Position;
use provisioner_core::{
    CatalogRecord, EnsureEffect, Expectation, Hint, Lifecycle, ModelRef, PolicyDocument, Question,
    ResolvedModel, key_of,
};

use super::options::{AttestOptions, Attestation, StatementDest};
use crate::{
    catalog::{
        provenance::{self, Action, Line},
        records,
    },
    context::Context,
    error::{Error, Result},
    handoff::hand_off::check_in_nothings_way,
    resolve::{
        admission::check_record,
        local_code,
        presence::{Freshness, freshness},
        reference::canonical,
        signature_rules::demanded,
    },
};

/// The version of this program, as statements name it.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How much of a model's name the name of its statement has, in bytes.
const MOST_OF_A_NAME: usize = 64;

/// States what is recorded of a model whose files have not changed since.
pub(crate) async fn attest(
    ctx: &Arc<Context>,
    reference: &ModelRef,
    options: &AttestOptions,
) -> Result<Attestation> {
    let reference = canonical(ctx, reference).await?;
    let record = records::find(ctx, &reference.id()).await?.record;
    if record.lifecycle == Lifecycle::Retired {
        return Err(Error::Retired { id: record.id });
    }
    if options.format == StatementFormat::Vsa {
        check_policy(ctx, &reference, &record).await?;
    }
    let options = options.clone();
    ctx.run_blocking(move |ctx| {
        let model = StatedModel::new(&reference, &record).map_err(|error| cannot(&record, &error))?;
        if let Freshness::Changed(reason) = freshness(&record, &ctx.store) {
            let hint = Hint::text("verify the model first, which reads its bytes");
            return Err(Error::NothingToState { id: record.id, reason, hint });
        }
        let path = options.dest.as_ref().map(|dest| path_of(ctx, dest, &record, &options)).transpose()?;
        let line = Line { statement: path.as_deref(), ..Line::of_record(ctx, Action::Attest, &record) };
        let position = provenance::log(ctx).rest(&line);
        let json = signed(stated(&model, &options, ctx.policy.documents(), position)?, &options)?;
        if let Some(path) = &path {
            write(path, &json)?;
        }
        let id = record.id.clone();
        Ok(Attestation { id, json, path, provenance: position })
    })
    .await
}

/// Fails where the policy denies a model now: a summary says that the model passed the policy that it names.
async fn check_policy(ctx: &Arc<Context>, reference: &ModelRef, record: &CatalogRecord) -> Result<()> {
    ctx.ask(&Question::Reference(reference))?;
    check_record(ctx, record)?;
    if !record.is_signed_as(&demanded(ctx, reference, &Expectation::none()).await?) {
        ctx.ask(&Question::Signature { reference, signers: &[] })?;
    }
    let record = record.clone();
    ctx.run_blocking(move |ctx| local_code::check_recorded(ctx, &record)).await
}

/// Returns the JSON of the statement.
fn stated(
    model: &StatedModel<'_>,
    options: &AttestOptions,
    policies: Vec<PolicyDocument>,
    position: Option<Position>,
) -> Result<String> {
    let json = if options.format == StatementFormat::CycloneDx {
        serde_json::to_string_pretty(&Bom::of(model, VERSION))
    } else {
        let line =
            |position: Position| LogLine { seq: position.seq, line: format!("sha256:{}", position.hex()) };
        let circumstances = Circumstances {
            verifier_id: options.verifier_id.clone().unwrap_or_default(),
            version: VERSION.to_owned(),
            policies,
            line: position.map(line),
        };
        serde_json::to_string_pretty(&Statement::of(model, circumstances))
    };
    json.map_err(|error| Error::storage("the statement cannot be written", error.into()))
}

/// Returns the envelope around a statement, where the caller has a key.
#[cfg(feature = "signing")]
fn signed(json: String, options: &AttestOptions) -> Result<String> {
    let Some(key) = &options.key else { return Ok(json) };
    let envelope = model_signing::Envelope::sign(options.format.payload_type(), json.into_bytes(), key)?;
    Ok(envelope.to_json())
}

/// Returns the statement: this build signs nothing.
#[cfg(not(feature = "signing"))]
#[expect(clippy::unnecessary_wraps, reason = "a build that signs may fail")]
fn signed(json: String, _: &AttestOptions) -> Result<String> {
    Ok(json)
}

/// Returns the path of the file with the statement.
///
/// # Errors
/// [`Error::HandoffInTheWay`] for a path in the model or in the cache, and for that of a file that the call reads.
fn path_of(
    ctx: &Context,
    dest: &StatementDest,
    record: &CatalogRecord,
    options: &AttestOptions,
) -> Result<PathBuf> {
    let path = match dest {
        StatementDest::File(path) => path.clone(),
        StatementDest::Folder(folder) => folder.join(file_name(&record.id, options.format)),
    };
    let path = std::path::absolute(path)
        .map_err(|error| Error::storage("the working directory cannot be found", error))?;
    check_in_nothings_way(
        ctx,
        &ResolvedModel::new(record.clone(), true),
        &path,
        options.key_file.as_slice(),
    )?;
    Ok(path)
}

/// Returns a name for the statement of a model: a part of the id, for a person, and a key that no other id has.
fn file_name(id: &str, format: StatementFormat) -> String {
    let last = id.rsplit('/').next().unwrap_or(id);
    let plain = |next: char| if next.is_ascii_alphanumeric() || "._-".contains(next) { next } else { '_' };
    let name: String = last.chars().map(plain).take(MOST_OF_A_NAME).collect();
    format!("{}-{}.{}", name.trim_start_matches('.'), &key_of(id)[..16], format.ending())
}

fn write(path: &Path, json: &str) -> Result<()> {
    durable_fs::replace(path, format!("{json}\n").as_bytes()).map_err(|error| {
        Error::storage(format!("the statement `{}` cannot be written", path.display()), error.into())
    })?;
    durable_fs::sweep(path);
    Ok(())
}

/// Returns the error of a model of which nothing can be stated.
fn cannot(record: &CatalogRecord, error: &attestation::Error) -> Error {
    let hint = match error {
        attestation::Error::Failed { .. } => {
            Hint::Ensure { id: record.id.clone(), effect: EnsureEffect::PutsRight }
        }
        _ => Hint::text("verify the model first, which reads its bytes"),
    };
    Error::NothingToState { id: record.id.clone(), reason: error.to_string(), hint }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_named_after_its_model() {
        let name = |id: &str| file_name(id, StatementFormat::Vsa);
        assert_eq!(
            name("hf:org/repo:Q4_K_M"),
            format!("repo_Q4_K_M-{}.vsa.json", &key_of("hf:org/repo:Q4_K_M")[..16])
        );
        assert_ne!(name("hf:one/repo"), name("hf:two/repo"));
        assert!(name("local:/models/.hidden").starts_with("hidden-"));
        assert!(name(&"x".repeat(500)).len() < 100);
    }
}
