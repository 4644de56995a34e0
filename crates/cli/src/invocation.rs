//! Gives a subcommand what it works with: provisioners, the output, and the environment.

use std::{
    ffi::OsStr,
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Duration,
};

use etcetera::BaseStrategy;
use model_provisioner::{
    Adoption, CoreError, Error, LockFile, Mirror, ModelProvisioner, ModelProvisionerConfig, ModelRef,
    Network, NetworkPolicy, PlacedPolicy, Policy, PolicyEngine, PolicyFile, PolicyPlace, ProvisionerBuilder,
    TransferSettings, Via,
};

use crate::{
    args::{GlobalOptions, HubOptions},
    environment::{self, Environment},
    output::{
        failure::Failure,
        printer::Printer,
        progress::{ProgressView, Screen},
    },
};

/// How long a source may be silent that the command asks about the caller.
const PATIENCE: Duration = Duration::from_secs(5);

/// Holds what one run of the command works with.
#[derive(Debug)]
pub(crate) struct Invocation {
    options: GlobalOptions,
    /// Where results, warnings and hints go.
    pub(crate) output: Printer,
    screen: Arc<Screen>,
    /// The policy files, once the command has read them: each part of a run goes by the same rules.
    policy_files: OnceLock<Vec<PolicyFile>>,
}

/// Says what else may send models, by which means, and what they must be.
struct Origin {
    lock: Option<LockFile>,
    mirrors: Vec<Mirror>,
    via: Via,
}

impl Invocation {
    /// Makes the invocation of this process.
    pub(crate) fn new(options: GlobalOptions, output: Printer, screen: Arc<Screen>) -> Self {
        Self { options, output, screen, policy_files: OnceLock::new() }
    }

    /// Returns a provisioner for a subcommand that never needs the network. Where the operator has a policy, that one decides in the place
    /// of the default one, as it does for an ensure.
    ///
    /// # Errors
    /// Where there is no cache folder, or the cache is not safe to use.
    pub(crate) fn local(&self) -> Result<ModelProvisioner, Failure> {
        let builder = self.builder()?;
        let is_default = self.policy_files().is_empty();
        Ok(if is_default { builder.build()? } else { builder.unsafe_skip_default_policy().build()? })
    }

    /// Returns a provisioner that may fetch: the caller names a source, and so asks for it, unless the operator's policy forbids it.
    ///
    /// # Errors
    /// As [`local`](Self::local), and where the address of the hub makes no sense.
    pub(crate) fn fetching(&self, hub: &HubOptions) -> Result<ModelProvisioner, Failure> {
        self.fetching_locked(hub, None)
    }

    /// Returns a provisioner that may fetch, held to a lock file where there is one.
    ///
    /// # Errors
    /// As [`fetching`](Self::fetching).
    pub(crate) fn fetching_locked(
        &self,
        hub: &HubOptions,
        lock: Option<LockFile>,
    ) -> Result<ModelProvisioner, Failure> {
        let defaults = self.transfer_settings();
        let stall = hub.timeout.unwrap_or(defaults.stall);
        let settings = TransferSettings { stall, bytes_per_second: hub.limit_rate, ..defaults };
        let adoption = Adoption { mode: hub.adopt.into(), ..Adoption::default() };
        let origin = Origin { lock, mirrors: self.mirrors(&[]), via: hub.via.into() };
        build(self.with_default_policy(self.builder()?), adoption, settings, origin)
    }

    /// Returns a provisioner that asks a source about the caller, and waits some seconds for the answer.
    ///
    /// # Errors
    /// As [`fetching`](Self::fetching).
    pub(crate) fn asking(&self) -> Result<ModelProvisioner, Failure> {
        let settings = TransferSettings { stall: PATIENCE, ..self.transfer_settings() };
        let origin = Origin { lock: None, mirrors: Vec::new(), via: Via::default() };
        build(self.with_default_policy(self.builder()?), Adoption::default(), settings, origin)
    }

    /// Returns the provisioner that a config describes.
    ///
    /// # Errors
    /// As [`fetching`](Self::fetching).
    pub(crate) fn configured(
        &self,
        config: &ModelProvisionerConfig,
        lock: Option<LockFile>,
    ) -> Result<ModelProvisioner, Failure> {
        let builder = self.builder()?.policy(config.placed_policy());
        let origin = Origin { lock, mirrors: self.mirrors(&config.mirrors), via: config.via };
        build(builder, config.adoption(), self.transfer_settings(), origin)
    }

    /// Returns the policies that hold for every command, in their order: that of `--offline`, and the operator's files.
    pub(crate) fn policies(&self) -> Vec<Arc<dyn PolicyEngine>> {
        let mut policies: Vec<Arc<dyn PolicyEngine>> = Vec::new();
        if let Some(setting) = self.offline_setting() {
            let place = PolicyPlace::Setting(setting.to_owned());
            policies.push(Arc::new(PlacedPolicy::new(NetworkPolicy(Network::Offline), place)));
        }
        policies.extend(self.policy_files().iter().map(|file| Arc::new(file.clone()) as _));
        policies
    }

    /// Returns the policy files of the operator: that of the environment, and those of the options. Neither replaces another.
    pub(crate) fn policy_files(&self) -> &[PolicyFile] {
        let read =
            || environment::policy_file().iter().chain(&self.options.policy).map(PolicyFile::read).collect();
        self.policy_files.get_or_init(read)
    }

    /// Returns the mirrors of a config, and after them those of the operator's files.
    fn mirrors(&self, of_config: &[Mirror]) -> Vec<Mirror> {
        let of_files = self.policy_files().iter().flat_map(PolicyFile::mirrors);
        of_config.iter().chain(of_files).cloned().collect()
    }

    /// Reads the environment of this process.
    pub(crate) fn environment(&self) -> Environment {
        Environment::read(self.is_offline())
    }

    /// Adds what holds for a person who names a source: the network. Where the operator has a policy, that one decides about the rest.
    fn with_default_policy(&self, builder: ProvisionerBuilder) -> ProvisionerBuilder {
        let place = PolicyPlace::Setting("default".to_owned());
        let network = NetworkPolicy(Network::Allow);
        if self.policy_files().is_empty() {
            let policy = Policy { network: network.0, ..Policy::default() };
            return builder.policy(PlacedPolicy::new(policy, place));
        }
        builder.unsafe_skip_default_policy().policy_engine(Arc::new(PlacedPolicy::new(network, place)))
    }

    fn builder(&self) -> Result<ProvisionerBuilder, Failure> {
        let view = ProgressView::new(self.options.progress, self.options.quiet, &self.screen);
        let builder =
            ModelProvisioner::builder(self.cache_dir()?).progress(view).inputs(environment::inputs());
        let builder = self.policies().into_iter().fold(builder, ProvisionerBuilder::policy_engine);
        Ok(match self.options.wait {
            Some(wait) => builder.wait(wait),
            None => builder,
        })
    }

    /// Returns the settings of transfers: `--wait` is for another process, and for a hub that asks the command to wait.
    fn transfer_settings(&self) -> TransferSettings {
        let defaults = TransferSettings::default();
        TransferSettings { max_wait: self.options.wait.unwrap_or(defaults.max_wait), ..defaults }
    }

    fn cache_dir(&self) -> Result<PathBuf, Failure> {
        match &self.options.cache_dir {
            Some(folder) if !folder.is_empty() => Ok(folder.into()),
            _ => {
                let base = etcetera::choose_base_strategy().map_err(|_| {
                    Failure::usage("there is no home folder; name a cache with `--cache-dir`")
                })?;
                Ok(base.cache_dir().join("models"))
            }
        }
    }

    fn is_offline(&self) -> bool {
        self.offline_setting().is_some()
    }

    /// Returns what keeps the command from the network, as a person names it.
    fn offline_setting(&self) -> Option<&'static str> {
        if self.options.offline {
            return Some("--offline or MODEL_PROVISIONER_OFFLINE");
        }
        environment::is_offline().then_some("HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE")
    }
}

/// Builds a provisioner with the caches of other tools and the hub of the environment.
fn build(
    builder: ProvisionerBuilder,
    adoption: Adoption,
    settings: TransferSettings,
    origin: Origin,
) -> Result<ModelProvisioner, Failure> {
    let builder = builder.adopt(environment::with_local_caches(adoption));
    let builder = environment::with_hub(builder, settings.stall, origin.via)?;
    let builder = environment::with_mirrors(builder, &origin.mirrors, settings.stall)?;
    let builder = match origin.lock {
        Some(lock) => builder.locked(lock),
        None => builder,
    };
    Ok(builder.transfer(settings).build()?)
}

/// Reads a reference.
///
/// # Errors
/// Where the text is not UTF-8 or not a reference.
pub(crate) async fn parse(provisioner: &ModelProvisioner, reference: &OsStr) -> Result<ModelRef, Failure> {
    let text = reference.to_str().ok_or_else(|| {
        let path = reference.to_string_lossy().into_owned();
        Error::from(CoreError::PathNotUtf8 { path })
    })?;
    Ok(provisioner.parse(text).await?)
}

/// Reads a reference, and adds the revision and the patterns of the options.
///
/// # Errors
/// As [`parse`], and where the options do not suit the reference.
pub(crate) async fn parse_with(
    provisioner: &ModelProvisioner,
    reference: &OsStr,
    hub: &HubOptions,
) -> Result<ModelRef, Failure> {
    let parsed = parse(provisioner, reference).await?;
    if !hub.selects() {
        return Ok(parsed);
    }
    let ModelRef::Repo(parsed) = parsed else {
        return Err(Failure::usage("`--revision`, `--include` and `--exclude` are of a hub's repository"));
    };
    let (include, exclude) = (hub.include.clone(), hub.exclude.clone());
    let selected = parsed.select(hub.revision.as_deref(), include, exclude).map_err(Error::from)?;
    // Patterns of an option obey the rules of those that are written into a reference.
    Ok(selected.to_string().parse().map_err(Error::from)?)
}

/// Turns a failure into what the command says. Where nothing is at the path that the caller wrote, the hint guesses what they meant.
pub(crate) fn guessing(error: Error, reference: &OsStr) -> Failure {
    match reference.to_str() {
        Some(written) => error.guessing(written).into(),
        None => error.into(),
    }
}
