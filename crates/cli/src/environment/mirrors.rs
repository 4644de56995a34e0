//! Adds the mirrors that a config or a policy names. The environment names none.

use std::time::Duration;

use model_provisioner::{Mirror, ProvisionerBuilder};

use crate::output::failure::Failure;

/// Adds a fetcher for each mirror, in their order. None of them gets a token.
///
/// # Errors
/// Where the address of a mirror makes no sense, or this build has no source of its scheme.
pub(crate) fn with_mirrors(
    builder: ProvisionerBuilder,
    mirrors: &[Mirror],
    timeout: Duration,
) -> Result<ProvisionerBuilder, Failure> {
    mirrors.iter().try_fold(builder, |builder, mirror| with_mirror(builder, mirror, timeout))
}

fn with_mirror(
    builder: ProvisionerBuilder,
    mirror: &Mirror,
    timeout: Duration,
) -> Result<ProvisionerBuilder, Failure> {
    match mirror.scheme.as_str() {
        #[cfg(feature = "hf")]
        "hf" => {
            use model_provisioner::{Error, HubFetcher, HubSettings};

            let settings = HubSettings::mirror(&mirror.endpoint).map_err(|error| {
                let failure = Failure::from(Error::from(error));
                Failure::new(failure.code, format!("a mirror of `hf:`: {}", failure.message))
            })?;
            Ok(builder.mirror(&mirror.endpoint, HubFetcher::new(settings.timeout(timeout))))
        }
        other => {
            drop((builder, timeout));
            Err(Failure::usage(format!("this build has no mirrors of `{other}:` references")))
        }
    }
}
