//! Asks a source as whom it knows the caller.

use provisioner_core::{Account, ModelRef, Question};

use crate::{context::Context, error::Result};

/// A name for a model that the source need not have: the policy decides about references.
const ANY_MODEL: &str = "org/model";

/// Returns as whom the source of a scheme knows the caller.
pub(crate) async fn account(ctx: &Context, scheme: &str) -> Result<Option<Account>> {
    let fetcher = ctx.registry.of_scheme(scheme)?;
    if fetcher.uses_network() {
        ask_policy(ctx, &format!("{scheme}:{ANY_MODEL}").parse()?)?;
    }
    Ok(fetcher.account().await?)
}

/// Fails where the policy denies the scheme or the network. A rule about repositories is none about accounts.
fn ask_policy(ctx: &Context, any: &ModelRef) -> Result<()> {
    let about_reference = Question::Reference(any);
    if ctx.policy.denials(&about_reference).iter().any(|denial| denial.rule != "repos") {
        ctx.ask(&about_reference)?;
    }
    ctx.ask(&Question::Network(any))
}
