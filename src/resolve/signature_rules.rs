//! Adds the signatures that the policy demands to what the caller expects.

use std::sync::Arc;

use provisioner_core::{
    CatalogRecord, Expectation, Manifest, ModelRef, Question, RecordedSignature, Rejection, SignatureDemand,
    SignatureMode, SignatureRule, TrustedSigner,
};

use crate::{
    context::{Context, run_blocking},
    error::{Error, Result},
};

/// Returns an expectation with the signatures that the policy demands of a model.
///
/// # Errors
/// A key of the policy cannot be read.
pub(crate) async fn demanded(
    ctx: &Arc<Context>,
    reference: &ModelRef,
    expectation: &Expectation,
) -> Result<Expectation> {
    let rules = ctx.policy.signature_rules(reference);
    let rules: Vec<_> = rules.into_iter().filter(|rule| rule.mode != SignatureMode::Off).collect();
    if rules.is_empty() {
        return Ok(expectation.clone());
    }
    let expectation = expectation.clone();
    run_blocking(move || {
        rules.iter().try_fold(expectation, |expectation, rule| {
            Ok(expectation.signed(SignatureDemand::by(signers(rule)?).of_policy(rule.mode)))
        })
    })
    .await
}

/// Reads the keys of a rule. It may block.
#[cfg(feature = "signing")]
fn signers(rule: &SignatureRule) -> Result<Vec<TrustedSigner>> {
    rule.keys.iter().map(|key| crate::signing::trusted_key(key)).collect()
}

/// Returns no signer: this build verifies no signatures, and nothing meets the demand.
#[cfg(not(feature = "signing"))]
#[expect(clippy::unnecessary_wraps, reason = "the other builds read files")]
fn signers(_: &SignatureRule) -> Result<Vec<TrustedSigner>> {
    Ok(Vec::new())
}

/// Returns the demanded signatures that hold for a listed model, before the first byte of it arrives.
///
/// # Errors
/// The model cannot meet a demand.
pub(crate) async fn check_listing(
    manifest: &Manifest,
    expectation: &Expectation,
) -> Result<Vec<RecordedSignature>> {
    if expectation.signatures().is_empty() {
        return Ok(Vec::new());
    }
    let (manifest, expectation) = (manifest.clone(), expectation.clone());
    run_blocking(move || {
        #[cfg(feature = "signing")]
        let held = super::signed::check_listing(&manifest, &expectation);
        #[cfg(not(feature = "signing"))]
        let held = unsupported(&expectation).map_or(Ok(Vec::new()), Err);
        held.map_err(|rejection| {
            provisioner_core::Error::Rejected { id: manifest.reference().id(), rejection }.into()
        })
    })
    .await
}

/// Returns why no model meets an expectation in this build, where a signature is demanded.
#[cfg(not(feature = "signing"))]
pub(crate) fn unsupported(expectation: &Expectation) -> Option<Rejection> {
    let demand = expectation.signatures().iter().find(|demand| demand.is_enforced())?;
    Some(Rejection::Signature {
        code: provisioner_core::ErrorCode::SignatureUnsupported,
        reason: "a signature is demanded, and this build verifies none".to_owned(),
        is_of_policy: demand.is_of_policy,
    })
}

/// Warns where a present model lacks a signature that the policy only asks for.
pub(crate) fn warn_of_lack(record: &CatalogRecord, expectation: &Expectation) {
    let is_met = |demand: &SignatureDemand| demand.is_enforced() || demand.is_met_by(&record.signatures);
    if !expectation.signatures().iter().all(is_met) {
        tracing::warn!("`{}`: no signature of the keys that the policy asks for is known", record.id);
    }
}

/// Returns the policy's denial in the place of the rejection for which it denies a model.
pub(crate) fn as_denial(ctx: &Context, reference: &ModelRef, error: Error) -> Error {
    let Error::Core(provisioner_core::Error::Rejected { rejection, .. }) = &error else { return error };
    let Rejection::Signature { reason, is_of_policy: true, .. } = rejection else { return error };
    match ctx.ask(&Question::Signature { reference, signers: &[] }) {
        Err(denial) => {
            tracing::warn!("`{reference}`: {reason}");
            denial
        }
        Ok(()) => error,
    }
}
