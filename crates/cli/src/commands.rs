//! What each command does.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::ExitCode,
};

use etcetera::BaseStrategy;
use model_provisioner::{
    Adoption, CoreError, DEFAULT_LLAMACPP_HANDOFF_PATH, Digest, DigestAlgorithm, Error, EvictionLimits,
    Expectation, Lifecycle, ModelProvisioner, ModelProvisionerConfig, ModelRef, Network, Outcome, Policy,
    ProvisionerBuilder, Removed, ResolvedModel, TransferSettings, shell_word,
};

use crate::{
    args::{Args, Command, Common, Ensure, How, Hub},
    collected::Collected,
    completions,
    document::{Changed, Listed, Model, ModelOrFailure, Planned, Verified, table, word},
    environment, exchange, exit,
    failure::Failure,
    health::{Environment, Health},
    inspect,
    leftovers::{self, Leftover},
    neighbours,
    output::Output,
    progress::Shown,
    run::{self, Engine},
};

pub(crate) type Done = Result<ExitCode, Failure>;

/// What comes after a command has done its work.
#[derive(Debug)]
pub(crate) enum Next {
    /// The end.
    End(ExitCode),
    /// An engine, on a model that is ready.
    Engine(Box<Engine>),
}

/// Does what one command says.
pub(crate) async fn perform(args: Args, output: Output) -> Result<Next, Failure> {
    let Args { common, command } = args;
    let done = match command {
        Command::Ensure(args) => ensure(&common, args, output).await,
        Command::Run(args) => return Box::pin(run::prepare(&common, args, output)).await,
        Command::Plan { references, demand, hub } if demand.is_asked() => {
            inspect::variants(&common, &references, demand, &hub, output).await
        }
        Command::Plan { references, hub, .. } => plan(&common, &references, &hub, output).await,
        Command::Provision { config, handoff } => provision(&common, &config, handoff, output).await,
        Command::List => list(&common, output).await,
        Command::Show { id } => show(&common, &id, output).await,
        Command::Verify { ids, all } => verify(&common, ids, all, output).await,
        Command::Retire { id } => move_to(&common, &id, Lifecycle::Retired, output).await,
        Command::Activate { id } => move_to(&common, &id, Lifecycle::Active, output).await,
        Command::Remove { id } => remove(&common, &id, output).await,
        Command::Import(import) => exchange::import(&common, import, output).await,
        Command::Export { id, dir } => exchange::export(&common, &id, &dir, output).await,
        Command::Inspect(args) => inspect::inspect(&common, args, output).await,
        Command::Gc { max_size, grace, dry_run } => {
            let limits = EvictionLimits { max_size_bytes: max_size, grace };
            gc(&common, limits, dry_run, output).await
        }
        Command::Doctor { fix } => doctor(&common, fix, output).await,
        Command::Completions { shell } => completions::print(shell),
    };
    done.map(Next::End)
}

async fn ensure(common: &Common, args: Ensure, output: Output) -> Done {
    let Ensure { references, how } = args;
    let expectation = expectation(&how)?;
    let is_one = references.len() == 1;
    if !is_one && (expectation.digest().is_some() || how.handoff.is_some()) {
        return Err(Failure::usage("a digest or a handoff is of one model; give one reference"));
    }
    let provisioner = asked(common, &how.hub)?;
    let mut done = Vec::new();
    let mut first_failure = None;
    for reference in &references {
        match ensure_one(&provisioner, reference, &expectation, &how, output).await {
            Ok(model) => done.push(ModelOrFailure::Model(Box::new(model))),
            Err(failure) if is_one => return Err(failure),
            Err(failure) => {
                Output::failure_text(&failure);
                let reference = reference.to_string_lossy().into_owned();
                first_failure.get_or_insert(failure.code);
                done.push(ModelOrFailure::Failure { reference, error: failure });
            }
        }
    }
    let paths: Vec<_> =
        done.iter().filter_map(ModelOrFailure::local_path).map(|path| path.display().to_string()).collect();
    match done.as_slice() {
        [ModelOrFailure::Model(only)] if is_one => output.paths(only, paths.join("\n"))?,
        all => output.paths(&all, paths.join("\n"))?,
    }
    Ok(first_failure.map_or(ExitCode::SUCCESS, exit::status))
}

async fn ensure_one(
    provisioner: &ModelProvisioner,
    reference: &OsStr,
    expectation: &Expectation,
    how: &How,
    output: Output,
) -> Result<Model, Failure> {
    let reference = selected(provisioner, reference, &how.hub).await?;
    let model = if how.refresh {
        provisioner.refresh(&provisioner.parse(&reference).await?, expectation).await?
    } else {
        provisioner.ensure_str(&reference, expectation).await?
    };
    warn(&model, output);
    let handoff = match &how.handoff {
        Some(path) => Some(provisioner.hand_off(&model, path).await?),
        None => None,
    };
    Ok(Model::new(&model, handoff))
}

/// A reference with what the options say of a hub's repository.
pub(crate) async fn selected(
    provisioner: &ModelProvisioner,
    reference: &OsStr,
    hub: &Hub,
) -> Result<String, Failure> {
    let written = text(reference)?;
    if hub.revision.is_none() && hub.include.is_empty() && hub.exclude.is_empty() {
        return Ok(written.to_owned());
    }
    let usage = || Failure::usage("`--revision`, `--include` and `--exclude` are of a hub's repository");
    match provisioner.parse(written).await? {
        ModelRef::Repo(parsed) => {
            let (include, exclude) = (hub.include.clone(), hub.exclude.clone());
            let selected = parsed.select(hub.revision.as_deref(), include, exclude).map_err(Error::from)?;
            Ok(selected.to_string())
        }
        _ => Err(usage()),
    }
}

async fn plan(common: &Common, references: &[OsString], hub: &Hub, output: Output) -> Done {
    let provisioner = asked(common, hub)?;
    let mut plans = Vec::new();
    for reference in references {
        let written = selected(&provisioner, reference, hub).await?;
        let plan = provisioner.plan(&provisioner.parse(&written).await?).await;
        plans.push(Planned::from(plan.map_err(|error| error.guessing(&written))?));
    }
    let text = plans.iter().map(Planned::text).collect::<Vec<_>>().join("\n");
    match plans.as_slice() {
        [only] => output.result(only, text)?,
        several => output.result(&several, text)?,
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn expectation(how: &How) -> Result<Expectation, Failure> {
    let digest = digest(how.sha256.as_deref(), how.digest.as_deref())?;
    Ok(digest.map_or_else(Expectation::none, Expectation::pinned).strict(how.strict))
}

/// The digest that is expected.
pub(crate) fn digest(sha256: Option<&str>, digest: Option<&str>) -> Result<Option<Digest>, Failure> {
    Ok(match (sha256, digest) {
        (Some(hex), _) => {
            let hex = hex.strip_prefix("sha256:").unwrap_or(hex);
            Some(Digest::new(DigestAlgorithm::Sha256, hex).map_err(Error::from)?)
        }
        (None, Some(digest)) => Some(digest.parse().map_err(Error::from)?),
        (None, None) => None,
    })
}

/// Says what the model lacks.
pub(crate) fn warn(model: &ResolvedModel, output: Output) {
    if model.verification.outcome == Outcome::Warn {
        let Some(_) = &model.digest else {
            output.warning(format_args!("`{}` is unverified: {}", model.id, model.verification.reason));
            let id = shell_word(&model.id);
            let option = if model.files.len() == 1 { "--sha256" } else { "--digest" };
            output.hint(format_args!(
                "give its digest with `{option}`, or let `model-provisioner verify {id}` compute one"
            ));
            return;
        };
        output.warning(format_args!("`{}`: {}", model.id, model.verification.reason));
    }
}

async fn provision(common: &Common, config_path: &Path, handoff: Option<PathBuf>, output: Output) -> Done {
    let config = ModelProvisionerConfig::from_path(config_path)?;
    let mut policy = config.policy.clone();
    if is_offline(common) {
        policy.network = Network::Offline;
    }
    let dest =
        handoff.or_else(|| config.handoff_path()).unwrap_or_else(|| DEFAULT_LLAMACPP_HANDOFF_PATH.into());
    let builder = builder(common)?.policy(policy).adopt(neighbours::places(config.adoption()));
    let settings = transfer_settings(common);
    let provisioner = environment::with_hub(builder, settings.stall)?.transfer(settings).build()?;
    let done = provisioner.provision(&config, config_path, &dest).await?;
    warn(&done.model, output);
    output.say(format_args!(
        "{} ({}, {})",
        done.model.id,
        indicatif::HumanBytes(done.model.size_bytes),
        word(&done.model.verification)
    ));
    output.paths(&Model::new(&done.model, Some(done.handoff.clone())), done.handoff.display())?;
    Ok(ExitCode::SUCCESS)
}

async fn list(common: &Common, output: Output) -> Done {
    let inventory = local(common)?.list().await?;
    for damaged in &inventory.damaged {
        output.warning(&damaged.reason);
    }
    if inventory.damaged.iter().any(|damaged| !damaged.is_newer) {
        output.hint("`model-provisioner doctor --fix` sets damaged records aside");
    }
    let models: Vec<_> = inventory.models.into_iter().map(Listed::from).collect();
    if models.is_empty() {
        output.say("the catalog is empty");
    }
    let rows = Some(table(&models)).filter(|table| !table.is_empty());
    let lines: Vec<_> = rows.into_iter().chain(leftovers::summary(&inventory.leftovers)).collect();
    output.result(&models, lines.join("\n"))?;
    if inventory.leftovers.iter().any(|left| !left.is_held) {
        output.hint(leftovers::HOW_TO_FREE);
    }
    Ok(ExitCode::SUCCESS)
}

async fn show(common: &Common, id: &OsStr, output: Output) -> Done {
    let provisioner = local(common)?;
    let reference = reference(&provisioner, id).await?;
    let entry = match provisioner.show(&reference).await {
        Err(error @ Error::NotInCatalog { .. }) => {
            return Err(Failure::from(error).hinting(unfinished(&provisioner, &reference).await?));
        }
        entry => entry?,
    };
    let holders = provisioner.holders(&reference).await?;
    let change = provisioner.change(&entry.record).await?;
    let is_changed = change.is_some();
    let model = ResolvedModel::new(entry.record, true);
    let shown = Model::new(&model, None).used_by(holders).changed(change);
    output.result(&shown, shown.card(entry.last_used_at))?;
    if is_changed {
        let id = shell_word(&model.id);
        output
            .hint(format_args!("`model-provisioner verify {id}` or `ensure {id}` judges what is there now"));
    }
    Ok(ExitCode::SUCCESS)
}

/// What to do about a model that has no record, and a transfer; `None` for one that has none.
async fn unfinished(provisioner: &ModelProvisioner, reference: &ModelRef) -> Result<Option<String>, Failure> {
    let id = reference.id();
    let mut found = provisioner.list().await?.leftovers;
    found.retain(|left| left.id.as_deref() == Some(&id));
    let lines = leftovers::summary(&found);
    let word = shell_word(&id);
    Ok(lines.first().map(|line| {
        format!("{line}: `model-provisioner ensure {word}` goes on with it, `remove {word}` frees it")
    }))
}

async fn verify(common: &Common, ids: Vec<OsString>, all: bool, output: Output) -> Done {
    let provisioner = local(common)?;
    let mut reports = Vec::new();
    let ids = if all {
        let inventory = provisioner.list().await?;
        reports.extend(inventory.damaged.into_iter().map(Verified::damaged));
        inventory.models.into_iter().map(|model| model.record.id.into()).collect()
    } else {
        ids
    };
    let mut parsed = Vec::new();
    for id in &ids {
        parsed.push(reference(&provisioner, id).await);
    }
    let known: Vec<ModelRef> = parsed.iter().filter_map(|parsed| parsed.as_ref().ok().cloned()).collect();
    let mut verified = provisioner.verify_several(&known).await.into_iter();
    for (id, parsed) in ids.iter().zip(parsed) {
        let failed = |failure| Verified::failed(id.to_string_lossy().into_owned(), failure);
        reports.push(match parsed {
            Err(failure) => failed(failure),
            Ok(_) => match verified.next() {
                Some(Ok(report)) => Verified::from(report),
                Some(Err(error)) => failed(error.into()),
                None => failed(Failure::interrupted()),
            },
        });
    }
    let first_failure = reports.iter().find_map(|report| report.code);
    let lines: Vec<_> = reports.iter().map(Verified::line).collect();
    output.result(&reports, lines.join("\n"))?;
    let mut hints: Vec<_> = reports.iter().filter_map(Verified::hint).collect();
    hints.dedup();
    for hint in hints {
        output.hint(hint);
    }
    Ok(first_failure.map_or(ExitCode::SUCCESS, exit::status))
}

async fn move_to(common: &Common, id: &OsStr, lifecycle: Lifecycle, output: Output) -> Done {
    let provisioner = local(common)?;
    let reference = reference(&provisioner, id).await?;
    let record = match lifecycle {
        Lifecycle::Active => provisioner.activate(&reference).await?,
        Lifecycle::Retired => provisioner.retire(&reference).await?,
    };
    let text = format!("{} is {}", record.id, record.lifecycle.as_str());
    let (local_path, lifecycle) = (Some(record.local_path), Some(record.lifecycle));
    let changed = Changed { id: record.id, local_path, lifecycle, leftovers: Vec::new() };
    output.result(&changed, text)?;
    Ok(ExitCode::SUCCESS)
}

async fn remove(common: &Common, id: &OsStr, output: Output) -> Done {
    let provisioner = local(common)?;
    let reference = reference(&provisioner, id).await?;
    let Removed { record, transfers, .. } = provisioner.purge(&reference).await?;
    let (id, local_path) = (reference.id(), record.map(|record| record.local_path));
    let mut lines = Vec::new();
    if local_path.is_some() {
        let what = if id.starts_with("local:") {
            "its files are yours, and stay"
        } else {
            "so are its files that no other model has"
        };
        lines.push(format!("{id} is removed from the catalog; {what}"));
    }
    if !transfers.is_empty() {
        let bytes = indicatif::HumanBytes(transfers.iter().map(|transfer| transfer.bytes).sum());
        lines.push(format!("the unfinished transfer of {id} is removed: freed {bytes}"));
    }
    let leftovers = transfers.iter().map(Leftover::from).collect();
    output.result(&Changed { id, local_path, lifecycle: None, leftovers }, lines.join("\n"))?;
    Ok(ExitCode::SUCCESS)
}

async fn gc(common: &Common, limits: EvictionLimits, dry_run: bool, output: Output) -> Done {
    let provisioner = local(common)?;
    let plan = provisioner.plan_eviction(&limits).await?;
    output.say_result(Collected::new(&plan, true).text())?;
    let done = if dry_run || plan.is_empty() { plan } else { provisioner.evict(&plan).await? };
    let collected = Collected::new(&done, dry_run);
    output.result(&collected, collected.summary())?;
    if done.over_bytes > 0 {
        output.warning(collected.shortfall());
    }
    if collected.keeps_idle_leftovers() {
        output.hint(leftovers::HOW_TO_FREE);
    }
    if limits.max_size_bytes.is_none() {
        output
            .hint("`--max-size SIZE` evicts models too, those first that were not used for the longest time");
    }
    Ok(ExitCode::SUCCESS)
}

async fn doctor(common: &Common, fix: bool, output: Output) -> Done {
    let provisioner = local(common)?;
    let findings = provisioner.doctor(fix).await?.into_iter().map(Into::into).collect();
    let overview = provisioner.overview().await?;
    let surroundings = Environment {
        hf: environment::program("hf"),
        endpoint: environment::hub_endpoint(),
        token: environment::token_origin(),
        offline: is_offline(common),
    };
    let health = Health::new(provisioner.cache_dir(), &overview, surroundings, findings);
    output.result(&health, health.text())?;
    let status = exit::status(model_provisioner::ErrorCode::DamagedRecord);
    Ok(if health.is_sound() { ExitCode::SUCCESS } else { status })
}

/// A provisioner for commands that never need the network.
pub(crate) fn local(common: &Common) -> Result<ModelProvisioner, Failure> {
    Ok(builder(common)?.build()?)
}

/// A provisioner for a person who names a source, and so asks for it. The policy of an operator is in the config.
pub(crate) fn asked(common: &Common, hub: &Hub) -> Result<ModelProvisioner, Failure> {
    let network = if is_offline(common) { Network::Offline } else { Network::Allow };
    let defaults = transfer_settings(common);
    let stall = hub.timeout.unwrap_or(defaults.stall);
    let settings = TransferSettings { stall, bytes_per_second: hub.limit_rate, ..defaults };
    let adoption = neighbours::places(Adoption { mode: hub.adopt.into(), ..Adoption::default() });
    let builder = builder(common)?.policy(Policy { network, ..Policy::default() }).transfer(settings);
    let builder = builder.adopt(adoption);
    Ok(environment::with_hub(builder, stall)?.build()?)
}

/// How long another process is waited for, a hub is too that asks to be left alone.
fn transfer_settings(common: &Common) -> TransferSettings {
    let defaults = TransferSettings::default();
    TransferSettings { max_wait: common.wait.unwrap_or(defaults.max_wait), ..defaults }
}

fn builder(common: &Common) -> Result<ProvisionerBuilder, Failure> {
    let builder = ModelProvisioner::builder(cache_dir(common)?).progress(Shown::new(common));
    Ok(match common.wait {
        Some(wait) => builder.wait(wait),
        None => builder,
    })
}

fn cache_dir(common: &Common) -> Result<PathBuf, Failure> {
    match &common.cache_dir {
        Some(folder) if !folder.is_empty() => Ok(folder.into()),
        _ => {
            let base = etcetera::choose_base_strategy()
                .map_err(|_| Failure::usage("there is no home folder; name a cache with `--cache-dir`"))?;
            Ok(base.cache_dir().join("models"))
        }
    }
}

fn is_offline(common: &Common) -> bool {
    common.offline || environment::is_offline()
}

pub(crate) async fn reference(provisioner: &ModelProvisioner, id: &OsStr) -> Result<ModelRef, Failure> {
    Ok(provisioner.parse(text(id)?).await?)
}

fn text(argument: &OsStr) -> Result<&str, Failure> {
    argument.to_str().ok_or_else(|| {
        let path = argument.to_string_lossy().into_owned();
        Error::from(CoreError::PathNotUtf8 { path }).into()
    })
}
